import { argument, type CniArgs, refuseUnknownArgs } from "../../cni/args.ts";
import { CniError, code } from "../../cni/error.ts";
import type { NetConf } from "../../cni/net-conf.ts";
import type { Dns, ResultIp, ResultRoute } from "../../cni/result.ts";
import { dnsSchema, present, presentDns, routeSchema } from "../../cni/result-decode.ts";
import { parseIp } from "../../ip/address.ts";
import { containsIp, type Prefix, parsePrefix } from "../../ip/prefix.ts";
import { array, checkedOrEmpty, decode, type Infer, optional, stringList, struct, text } from "../../json/struct.ts";
import { requireOnePerFamily } from "../families.ts";

export interface StaticConfig {
  readonly ips: readonly ResultIp[];
  readonly routes: readonly ResultRoute[];
  readonly dns: Dns;
}

export const addressSchema = struct({
  address: optional(text(), ""),
  gateway: optional(checkedOrEmpty(parseIp, "an IP address")),
});
const ipList = () => optional(stringList(), []);

const schema = struct({
  ipam: optional(
    struct({
      addresses: optional(array(addressSchema), []),
      routes: optional(array(routeSchema), []),
      dns: optional(dnsSchema, {}),
    }),
  ),
  args: optional(struct({ cni: optional(struct({ ips: ipList() })) })),
  runtimeConfig: optional(struct({ ips: ipList() })),
});

/**
 * The config of static. Its addresses are `ipam.addresses` and behind them those of CNI_ARGS (`IP`); `args.cni.ips`, when it has any,
 * replaces both, and `runtimeConfig.ips` replaces all. A GATEWAY of CNI_ARGS belongs to the addresses of CNI_ARGS whose network holds
 * it, never to those of `ipam.addresses`; replacing addresses have no gateway. Replaced `ipam.addresses` are not looked at. Throws
 * `CniError` code 7 that names the JSON path, 4 for CNI_ARGS.
 */
export function parseConfig(conf: NetConf, args: CniArgs): StaticConfig {
  const { ipam, args: configArgs, runtimeConfig } = decode(schema, conf.raw);
  if (ipam === undefined) throw new CniError(code.invalidConfig, "IPAM config missing 'ipam' key (at $.ipam)");
  refuseUnknownArgs(args, ["IP", "GATEWAY"]);
  const own = requestedAddresses(args);
  const argued = (configArgs?.cni?.ips ?? []).map(replacing("$.args.cni.ips"));
  const given = (runtimeConfig?.ips ?? []).map(replacing("$.runtimeConfig.ips"));
  const replacement = given.length > 0 ? given : argued;
  const ips = replacement.length > 0 ? replacement : [...ipam.addresses.map(configuredAddress), ...own];
  const addresses = ips.map(({ address }) => address.ip);
  requireOnePerFamily(conf.cniVersion, addresses, "$.ipam.addresses");
  return { ips, routes: ipam.routes.map((route) => present<ResultRoute>(route)), dns: presentDns(ipam.dns) };
}

export function configuredAddress({ address, gateway }: Infer<typeof addressSchema>, index: number): ResultIp {
  const path = `$.ipam.addresses[${index}].address`;
  return present<ResultIp>({ address: requirePrefix("the 'address' field is expected to be", address, path), gateway });
}

function replacing(path: string): (text: string, index: number) => ResultIp {
  return (text, index) => ({
    address: requirePrefix("an entry in the 'ips' field is NOT", text, `${path}[${index}]`),
  });
}

function requirePrefix(what: string, text: string, path: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix !== undefined) return prefix;
  throw new CniError(code.invalidConfig, `${what} in CIDR notation, got: '${text}' (at ${path})`);
}

/** The addresses of CNI_ARGS: `IP` and `GATEWAY` are lists with commas. */
export function requestedAddresses(args: CniArgs): ResultIp[] {
  const addresses = items(args, "IP").map((item) => {
    const address = parsePrefix(item.trim());
    if (address !== undefined) return address;
    const text = `the 'ip' field is expected to be in CIDR notation, got: '${item.trim()}'`;
    throw new CniError(code.invalidEnvironment, text, "IP of CNI_ARGS");
  });
  const gateways = items(args, "GATEWAY").map((item) => {
    const ip = parseIp(item.trim());
    if (ip !== undefined) return ip;
    throw new CniError(code.invalidEnvironment, `invalid gateway address: ${item}`, "GATEWAY of CNI_ARGS");
  });
  return addresses.map((address) => {
    const gateway = gateways.findLast((each) => containsIp(address, each));
    return present<ResultIp>({ address, gateway });
  });
}

function items(args: CniArgs, key: string): string[] {
  const value = argument(args, key) ?? "";
  return value === "" ? [] : value.split(",");
}
