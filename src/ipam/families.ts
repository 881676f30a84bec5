import { CniError, code } from "../cni/error.ts";
import { type CniVersion, isAtLeast } from "../cni/version.ts";
import type { Ip } from "../ip/address.ts";

/**
 * Before 0.3.0 a result holds one address of each family; throws `CniError` code 7 when there would be more. `where` is what asks
 * for them, as a JSON path.
 */
export function requireOnePerFamily(version: CniVersion, ips: readonly Ip[], where: string): void {
  if (isAtLeast(version, "0.3.0")) return;
  const countOf = (family: 4 | 6) => ips.filter((ip) => ip.family === family).length;
  if (countOf(4) <= 1 && countOf(6) <= 1) return;
  throw new CniError(
    code.invalidConfig,
    `CNI version ${version} does not support more than 1 address per family (at ${where})`,
    "use cniVersion 0.3.0 or newer",
  );
}
