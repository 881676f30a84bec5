import type { Dns } from "../../cni/result.ts";
import { optional, stringList, struct, text } from "../../json/struct.ts";

/** The `dns` object of a config (spec "dns"); its members stay apart: an empty list that is written is not one that is missing. */
export function dnsSchema() {
  return optional(
    struct({
      nameservers: optional(stringList()),
      domain: optional(text()),
      search: optional(stringList()),
      options: optional(stringList()),
    }),
  );
}

/**
 * The DNS settings of a result: the config's when it sets any member, even to an empty list, else the IPAM plugin's. Upstream does
 * so in bridge and ptp only and drops the IPAM plugin's in macvlan, ipvlan, vlan, tap and host-device; here all do alike.
 */
export function chooseDns(config: Dns | undefined, ipam: Dns): Dns {
  return config === undefined || Object.keys(config).length === 0 ? ipam : config;
}
