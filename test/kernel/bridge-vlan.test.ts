// VLANs on bridge ports: our messages against a kernel that filters them.
import { cases } from "./bridge-vlan.guest.ts";
import { describeGuest } from "./describe-guest.ts";

describeGuest("bridge VLANs", new URL("bridge-vlan.guest.ts", import.meta.url), cases);
