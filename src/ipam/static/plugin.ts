import { CniError, code } from "../../cni/error.ts";
import type { CheckCall, ConfigReview, Plugin } from "../../cni/plugin.ts";
import { equalIp, formatIp } from "../../ip/address.ts";
import { formatPrefix } from "../../ip/prefix.ts";
import { parseConfig, type StaticConfig } from "./config.ts";

const nothing: StaticConfig = { ips: [], routes: [], dns: {} };

/**
 * IPAM with the addresses that the config, CNI_ARGS or the runtime name. It keeps no state and does not look for duplicates, so DEL does
 * nothing, not even parse. No address at all gives an empty result.
 */
export const plugin: Plugin<StaticConfig> = {
  name: "static",
  isIpam: true,
  parse: (conf, args, verb) => (verb === "DEL" ? nothing : parseConfig(conf, args)),
  add: ({ config: { ips, routes, dns } }) => ({ interfaces: [], ips, routes, dns }),
  del: () => {},
  check,
  review,
};

/** Whoever asks for addresses and gets none gives up. */
function review({ ips }: StaticConfig): ConfigReview {
  if (ips.length > 0) return { refusal: "", warnings: [] };
  const cure = `name one as $.ipam.addresses[0].address, such as "10.1.0.2/16", or declare the capability ips and have the pod's annotation name it`;
  return { refusal: `static has no address to give (at $.ipam.addresses): ${cure}`, warnings: [] };
}

/** Each address must be in the result of the ADD, with the same gateway when one is configured. (Upstream misses absent ones.) */
function check({ config, prevResult, ifName }: CheckCall<StaticConfig>): void {
  for (const { address, gateway } of config.ips) {
    const found = prevResult.ips.filter((each) => equalIp(each.address.ip, address.ip));
    if (found.length === 0) {
      const present = prevResult.ips.map((each) => formatPrefix(each.address)).join(", ") || "none";
      const text = `static: Failed to find addr ${formatIp(address.ip)} on interface ${ifName}`;
      throw new CniError(code.internal, text, `addresses in prevResult: ${present}`);
    }
    if (gateway === undefined || found.some((each) => each.gateway !== undefined && equalIp(each.gateway, gateway)))
      continue;
    const others = found.map((each) => (each.gateway === undefined ? "none" : formatIp(each.gateway))).join(", ");
    throw new CniError(
      code.internal,
      `static: Failed to match addr ${formatIp(address.ip)} on interface ${ifName}`,
      `expected gateway ${formatIp(gateway)}, found ${others}`,
    );
  }
}
