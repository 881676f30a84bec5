// Bridges that filter VLANs, which the machine's own kernel may not be able to.
import { cases } from "./bridge-plugin.guest.ts";
import { describeGuest } from "./describe-guest.ts";

describeGuest("bridge VLANs", new URL("bridge-plugin.guest.ts", import.meta.url), cases);
