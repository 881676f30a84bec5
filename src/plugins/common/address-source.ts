import { CniError, code } from "../../cni/error.ts";
import type { NetConf } from "../../cni/net-conf.ts";
import { getField } from "../../json/struct.ts";

/**
 * For kinds of links that need addresses as a rule: throws `CniError` code 7, in upstream's words, unless the config has the key `ipam`, be it
 * an empty object for an interface without addresses. A pod that silently lacks them would be worse.
 */
export function requireIpamKey({ raw }: NetConf, type: string): void {
  if (getField(raw, "ipam") !== undefined) return;
  throw new CniError(
    code.invalidConfig,
    `no plugin name provided: ${type} needs "ipam" with the type of an IPAM plugin, or "ipam": {} for an interface without addresses`,
  );
}
