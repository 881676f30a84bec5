// vlan beside the Go plugin, call by call.
import { cases } from "./compare-vlan.guest.ts";
import { describeComparison } from "./describe-guest.ts";

describeComparison("vlan and the Go plugin", new URL("compare-vlan.guest.ts", import.meta.url), cases);
