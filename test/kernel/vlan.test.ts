// vlan on a kernel that has it: what gets through, what it makes, who holds an id that is taken, how it ends.
import { describeGuest } from "./describe-guest.ts";
import { cases } from "./vlan.guest.ts";

describeGuest("vlan", new URL("vlan.guest.ts", import.meta.url), cases, { modules: ["ipv6"] });
