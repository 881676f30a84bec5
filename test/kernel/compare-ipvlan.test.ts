// ipvlan beside the Go plugin, call by call.
import { cases } from "./compare-ipvlan.guest.ts";
import { describeComparison } from "./describe-guest.ts";

describeComparison("ipvlan and the Go plugin", new URL("compare-ipvlan.guest.ts", import.meta.url), cases);
