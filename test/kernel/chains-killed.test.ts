// Chains behind ipvlan and vlan, killed at each step: a DEL afterwards leaves nothing.
import { cases } from "./chains-killed.guest.ts";
import { describeGuest } from "./describe-guest.ts";

describeGuest("killed chains", new URL("chains-killed.guest.ts", import.meta.url), cases, {
  modules: ["ipv6", "8021q"],
  timeoutMs: 3_600_000,
});
