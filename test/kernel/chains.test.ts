// sbr and tuning behind the plugins whose links this machine's own kernel may lack: the users' documents have sbr behind ipvlan.
import { cases } from "./chains.guest.ts";
import { describeGuest } from "./describe-guest.ts";

describeGuest("chains behind ipvlan and vlan", new URL("chains.guest.ts", import.meta.url), cases, {
  modules: ["ipv6", "8021q"],
});
