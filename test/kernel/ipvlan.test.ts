// ipvlan on a kernel that has it: what gets through, what it makes, what it refuses, how it ends.
import { describeGuest } from "./describe-guest.ts";
import { cases } from "./ipvlan.guest.ts";

describeGuest("ipvlan", new URL("ipvlan.guest.ts", import.meta.url), cases, { modules: ["ipv6"] });
