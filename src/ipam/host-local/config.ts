import { argument, type CniArgs, refuseUnknownArgs } from "../../cni/args.ts";
import { CniError, code } from "../../cni/error.ts";
import type { NetConf } from "../../cni/net-conf.ts";
import type { ResultRoute } from "../../cni/result.ts";
import { present, routeSchema } from "../../cni/result-decode.ts";
import type { Verb } from "../../cni/version.ts";
import { equalIp, type Ip, parseIp } from "../../ip/address.ts";
import { parsePrefix } from "../../ip/prefix.ts";
import {
  anyObject,
  array,
  checked,
  checkedOrEmpty,
  decode,
  getField,
  type Infer,
  optional,
  struct,
  text,
} from "../../json/struct.ts";
import { isJsonObject } from "../../json/value.ts";
import { requireOnePerFamily } from "../families.ts";
import { completeSet, type RangeSet, type RangeSetConfig, setsOverlap } from "./range-set.ts";

export interface HostLocalConfig {
  /** One address is leased from each, in this order. At least one, but for STATUS when the runtime brings the ranges. */
  readonly sets: readonly RangeSet[];
  /** Addresses that were asked for, each once. */
  readonly requested: readonly Ip[];
  readonly routes: readonly ResultRoute[];
  /** Where the networks' directories are. */
  readonly dataDir: string;
  /** Path of the resolv.conf(5) whose settings go into the result; "" for none. */
  readonly resolvConf: string;
}

const defaultDataDir = "/var/lib/cni/networks";

const address = () => optional(checkedOrEmpty(parseIp, "an IP address"));
const rangeEntries = {
  subnet: optional(checked(parsePrefix, "an IP network such as 10.1.0.0/16")),
  rangeStart: address(),
  rangeEnd: address(),
  gateway: address(),
};
const rangeSets = () => optional(array(array(struct(rangeEntries))), []);
const addresses = () => optional(array(checked(parseRequested, "an IP address")), []);

const schema = struct({
  ipam: optional(
    struct({
      ...rangeEntries,
      ranges: rangeSets(),
      routes: optional(array(routeSchema), []),
      dataDir: optional(text(), ""),
      resolvConf: optional(text(), ""),
    }),
  ),
  args: optional(struct({ cni: optional(struct({ ips: addresses() })) })),
  capabilities: optional(anyObject()),
  runtimeConfig: optional(struct({ ipRanges: rangeSets(), ips: addresses() })),
});

/**
 * The config of host-local, whole and consistent: the sets of `runtimeConfig.ipRanges` first, then the old-style range of `ipam`
 * itself, then `ipam.ranges`; the addresses of CNI_ARGS (`IP`), `args.cni.ips` and `runtimeConfig.ips` together. A prefix length in
 * a requested address is ignored. Throws `CniError` code 7 that names the JSON path, 4 for CNI_ARGS.
 *
 * STATUS comes without runtimeConfig: there a config without ranges is fine when its capabilities say that ADD will bring some.
 */
export function parseConfig(conf: NetConf, args: CniArgs, verb: Verb): HostLocalConfig {
  const { ipam, args: configArgs, runtimeConfig, capabilities } = decode(schema, conf.raw);
  if (ipam === undefined) throw new CniError(code.invalidConfig, "IPAM config missing 'ipam' key (at $.ipam)");
  refuseUnknownArgs(args, ["IP"]);
  const requested = [...requestedByArgs(args), ...(configArgs?.cni?.ips ?? []), ...(runtimeConfig?.ips ?? [])];
  const sets: RangeSetConfig[] = setsAt("$.runtimeConfig.ipRanges", runtimeConfig?.ipRanges ?? []);
  if (ipam.subnet !== undefined) sets.push({ ranges: [ipam], pathOf: () => "$.ipam" });
  sets.push(...setsAt("$.ipam.ranges", ipam.ranges));
  if (sets.length === 0 && !(verb === "STATUS" && capabilities?.["ipRanges"] === true)) {
    throw new CniError(code.invalidConfig, "no IP ranges specified (at $.ipam)", "expected ipam.ranges or ipam.subnet");
  }
  return {
    sets: completeSets(conf, sets),
    requested: distinct(requested),
    routes: routesOf(ipam.routes),
    dataDir: ipam.dataDir || defaultDataDir,
    resolvConf: ipam.resolvConf,
  };
}

/** `ipam.dataDir` or its default, also from a config that is otherwise unusable: cleaning up needs no more than that. */
export function dataDirOf(conf: NetConf): string {
  const ipam = getField(conf.raw, "ipam");
  const dataDir = isJsonObject(ipam) ? getField(ipam, "dataDir") : undefined;
  return typeof dataDir === "string" && dataDir !== "" ? dataDir : defaultDataDir;
}

function completeSets(conf: NetConf, configs: readonly RangeSetConfig[]): RangeSet[] {
  const sets: RangeSet[] = [];
  const firsts: Ip[] = [];
  for (const config of configs) {
    try {
      const set = completeSet(config);
      sets.push(set);
      firsts.push(set[0].first);
    } catch (error) {
      throw CniError.from(error).within(`invalid range set ${sets.length}: `);
    }
  }
  requireOnePerFamily(conf.cniVersion, firsts, "$.ipam.ranges");
  for (let index = 0; index < sets.length; index++) {
    for (let later = index + 1; later < sets.length; later++) {
      if (!setsOverlap(sets[index]!, sets[later]!)) continue;
      const where = configs[later]?.pathOf(0) ?? "";
      throw new CniError(code.invalidConfig, `range set ${index} overlaps with ${later} (at ${where})`);
    }
  }
  return sets;
}

type DecodedRange = Infer<ReturnType<typeof struct<typeof rangeEntries>>>;

function setsAt(base: string, list: readonly (readonly DecodedRange[])[]): RangeSetConfig[] {
  const sets: RangeSetConfig[] = [];
  for (const ranges of list) {
    const path = `${base}[${sets.length}]`;
    sets.push({ ranges, pathOf: (range) => `${path}[${range}]` });
  }
  return sets;
}

function distinct(ips: readonly Ip[]): Ip[] {
  const found: Ip[] = [];
  for (const ip of ips) if (!holds(found, ip)) found.push(ip);
  return found;
}

function holds(ips: readonly Ip[], ip: Ip): boolean {
  for (const each of ips) if (equalIp(each, ip)) return true;
  return false;
}

function routesOf(decoded: readonly Infer<typeof routeSchema>[]): ResultRoute[] {
  const routes: ResultRoute[] = [];
  for (const route of decoded) routes.push(present<ResultRoute>(route));
  return routes;
}

function requestedByArgs(args: CniArgs): Ip[] {
  const value = argument(args, "IP") ?? "";
  if (value === "") return [];
  const ip = parseRequested(value);
  if (ip !== undefined) return [ip];
  throw new CniError(
    code.invalidEnvironment,
    `ARGS: error parsing value of pair ${JSON.stringify(`IP=${value}`)}: invalid IP address ${value}`,
  );
}

/** An address with or without a prefix length. */
function parseRequested(value: string): Ip | undefined {
  return parseIp(value) ?? parsePrefix(value)?.ip;
}
