import { argument, type CniArgs, refuseUnknownArgs } from "../../cni/args.ts";
import { CniError, code } from "../../cni/error.ts";
import type { NetConf } from "../../cni/net-conf.ts";
import type { Dns, ResultIp, ResultRoute } from "../../cni/result.ts";
import { present, presentDns } from "../../cni/result-decode.ts";
import { equalIp, formatIp, type Ip, parseIp } from "../../ip/address.ts";
import { parsePrefix } from "../../ip/prefix.ts";
import { spansContain } from "../../pool/spans.ts";
import { decode, getField, mapOf, optional, stringList, struct, text } from "../../json/struct.ts";
import { isJsonObject, type JsonObject } from "../../json/value.ts";
import type { LogLevel } from "../../log/logger.ts";
import { parseLogLevel } from "../../log/open.ts";
import { requireOnePerFamily } from "../families.ts";
import { configuredAddress, requestedAddresses } from "../static/config.ts";
import { decodeOptions, misspelt, type Options, type RangeOptions } from "./options.ts";
import { planRange, type RangePlan } from "./range-plan.ts";

/** What one call is to do, whole and consistent. */
export interface WhereaboutsConfig {
  /** One address is given out of each, in this order. */
  readonly ranges: readonly RangePlan[];
  /** Addresses of the config and of CNI_ARGS, which nobody gives out; behind those of the ranges in the result. */
  readonly statics: readonly ResultIp[];
  /** Those of them that a range could give to somebody else, and are claimed for that reason. */
  readonly heldStatics: readonly Ip[];
  /** Addresses of the ranges that the pod must have. */
  readonly required: readonly Ip[];
  /** Addresses that it gets if nobody has them, in this order of preference. */
  readonly preferred: readonly Ip[];
  readonly gateway: Ip | undefined;
  readonly routes: readonly ResultRoute[];
  readonly dns: Dns;
  /** `network_name`. */
  readonly networkName: string;
  /** An address is held in all ranges of the network that contain it. */
  readonly isOverlapChecked: boolean;
  /** Whereabouts' Go code may run on other nodes. */
  readonly coexists: boolean;
  /** Every claim is also made under whereabouts' own Lease. */
  readonly takesLease: boolean;
  readonly releaseDelayMs: number;
  /** Ranges are divided among the nodes (`node_slice_size`); each range says whether it is. */
  readonly isSliced: boolean;
  readonly kubeconfig: string;
  /** The directory that the pools are in, in place of an API server; "" for none. */
  readonly manifests: string;
  readonly dataDir: string;
  readonly configurationPath: string;
  readonly logFile: string;
  readonly logLevel: LogLevel | undefined;
  readonly warnings: readonly string[];
  /** Addresses that are asked for, without a length, and of none of the ranges: only of a config that may get more ranges. */
  readonly unplaced: readonly string[];
}

/** What is known beside the options themselves. */
export interface CompileContext {
  /** What the dispatcher says about the pod; absent when it says nothing. */
  readonly podAnnotations?: Readonly<Record<string, string>> | undefined;
  /** Of the node's flat file. */
  readonly warnings?: readonly string[];
  /** The flat file may name more ranges: an address that is of none yet is no error. */
  readonly mayGrow?: boolean;
}

/** Where claims are journaled when the config does not say. */
const defaultDataDir = "/var/lib/cni/polynic/whereabouts";
const knownArgs = [
  "IP",
  "GATEWAY",
  "K8S_POD_NAME",
  "K8S_POD_NAMESPACE",
  "K8S_POD_INFRA_CONTAINER_ID",
  "K8S_POD_UID",
] as const;
const preferredIpAnnotation = "whereabouts.cni.cncf.io/preferred-ip";

const surroundings = struct({
  args: optional(struct({ cni: optional(struct({ ips: optional(stringList(), []) })) })),
  runtimeConfig: optional(
    struct({
      ips: optional(stringList(), []),
      "io.kubernetes.cri.pod-annotations": optional(mapOf(text()), {}),
    }),
  ),
});

/** `ipam` as an object. Throws `CniError` code 7 when it is missing. */
export function ipamOf({ raw }: NetConf): JsonObject {
  const ipam = getField(raw, "ipam");
  if (isJsonObject(ipam)) return ipam;
  throw new CniError(code.invalidConfig, "IPAM config missing 'ipam' key (at $.ipam)");
}

/** `ipam.data_dir` or its default, also from a config that is otherwise unusable: cleaning up needs no more than that. */
export function dataDirOf({ raw }: NetConf): string {
  const ipam = getField(raw, "ipam");
  const dataDir = isJsonObject(ipam) ? getField(ipam, "data_dir") : undefined;
  return typeof dataDir === "string" && dataDir !== "" ? dataDir : defaultDataDir;
}

/**
 * The config of a call out of the network's options, which may have been completed by the node's flat file, CNI_ARGS, and what the
 * runtime or the dispatcher says about the pod. Throws `CniError` code 7 that names the JSON path, 4 for CNI_ARGS.
 */
export function compile(
  conf: NetConf,
  options: Options,
  args: CniArgs,
  { podAnnotations, warnings: known = [], mayGrow = false }: CompileContext = {},
): WhereaboutsConfig {
  const warnings = [...misspelt(ipamOf(conf), "$.ipam"), ...known];
  refuseUnknownArgs(args, knownArgs);
  const { runtimeConfig, args: configArgs } = decode(surroundings, conf.raw);
  const gateway = addressOption(options.gateway, "$.ipam.gateway");
  const configured = (options.addresses ?? []).map(configuredAddress);
  const ranges = explained(warnings, () => plannedRanges(options, gateway, configured, warnings));
  const requested = [...(runtimeConfig?.ips ?? []), ...(configArgs?.cni?.ips ?? [])];
  const { statics, heldStatics, required, unplaced } = shareOut(ranges, requestedAddresses(args), requested);
  if (unplaced.length > 0 && !mayGrow)
    throw new CniError(
      code.invalidConfig,
      `requested address ${unplaced[0]} is of none of the ranges`,
      "an address of another network needs a prefix length",
    );
  const preference = (podAnnotations ?? runtimeConfig?.["io.kubernetes.cri.pod-annotations"])?.[preferredIpAnnotation];
  const config: WhereaboutsConfig = {
    ranges,
    statics: [...configured, ...statics],
    heldStatics,
    required,
    preferred: preferredAddresses(preference, options.pick_addresses ?? [], warnings),
    gateway,
    routes: (options.routes ?? []).map((route) => present<ResultRoute>(route)),
    dns: presentDns(options.dns ?? {}),
    networkName: options.network_name ?? "",
    isOverlapChecked: options.enable_overlapping_ranges ?? true,
    coexists: options.coexist ?? true,
    takesLease: lockOption(options.coexist_lock ?? ""),
    releaseDelayMs: (options.release_delay_seconds ?? 0) * 1000,
    isSliced: ranges.some(({ sliceBits }) => sliceBits !== undefined),
    kubeconfig: options.kubernetes?.kubeconfig ?? "",
    manifests: options.manifests ?? "",
    dataDir: options.data_dir || defaultDataDir,
    configurationPath: options.configuration_path ?? "",
    logFile: options.log_file ?? "",
    logLevel: levelOption(options.log_level ?? "", warnings),
    warnings,
    unplaced,
  };
  const all = [...ranges.map(({ network }) => network.ip), ...config.statics.map(({ address }) => address.ip)];
  requireOnePerFamily(conf.cniVersion, all, "$.ipam");
  return config;
}

/** The options of `ipam` alone. */
export function ownOptions(conf: NetConf): Options {
  return decodeOptions(ipamOf(conf), "$.ipam");
}

/** namespace/name of the pod, as whereabouts writes it: "/" for a container that is no pod's. */
export function podRefOf(args: CniArgs): string {
  return `${argument(args, "K8S_POD_NAMESPACE") ?? ""}/${argument(args, "K8S_POD_NAME") ?? ""}`;
}

/** What is wrong with a range may be no more than a word of host-local's: an error says so. */
function explained<T>(warnings: readonly string[], plan: () => T): T {
  const reasons = warnings.join("; ");
  try {
    return plan();
  } catch (error) {
    if (!(error instanceof CniError) || reasons === "") throw error;
    const details = error.details === "" ? reasons : `${reasons}; ${error.details}`;
    throw new CniError(error.code, error.message, details, { cause: error });
  }
}

function plannedRanges(
  options: Options,
  gateway: Ip | undefined,
  configured: readonly ResultIp[],
  warnings: string[],
): RangePlan[] {
  const without = configured.map(({ address }) => address.ip);
  if (gateway !== undefined && options.exclude_gateway === true) without.push(gateway);
  const context = {
    networkName: options.network_name ?? "",
    isL3: options.enable_l3 ?? false,
    without,
    sliceSize: options.node_slice_size,
    warn: (line: string) => void warnings.push(line),
  };
  const ranges: RangePlan[] = [];
  if ((options.range ?? "") !== "") {
    ranges.push(planRange(ownRange(options), { path: "$.ipam", isStrict: false, isFirst: true }, context));
  }
  (options.ipRanges ?? []).forEach((each, index) => {
    const place = { path: `$.ipam.ipRanges[${index}]`, isStrict: true, isFirst: ranges.length === 0 };
    ranges.push(planRange(each, place, context));
  });
  const given = gateway !== undefined && ranges.some(({ spans }) => spansContain(spans, gateway));
  if (given) {
    const cure = `"exclude_gateway": true keeps it`;
    warnings.push(`$.ipam.gateway: ${formatIp(gateway)} is among the addresses that pods get; ${cure}`);
  }
  return ranges;
}

function ownRange({ range, range_start, range_end, exclude, enable_l3 }: Options): RangeOptions {
  return {
    ...(range === undefined ? {} : { range }),
    ...(range_start === undefined ? {} : { range_start }),
    ...(range_end === undefined ? {} : { range_end }),
    ...(exclude === undefined ? {} : { exclude }),
    ...(enable_l3 === undefined ? {} : { enable_l3 }),
  };
}

/**
 * What the pod asks for. Addresses of CNI_ARGS come in addition to what the ranges give, as in whereabouts; addresses of the runtime take
 * the place of what their range would give, those outside the ranges come in addition. All that are of a range are claimed, so that nobody
 * else gets them.
 */
function shareOut(
  ranges: readonly RangePlan[],
  ofArgs: readonly ResultIp[],
  ofRuntime: readonly string[],
): Pick<WhereaboutsConfig, "statics" | "heldStatics" | "required" | "unplaced"> {
  const unplaced: string[] = [];
  const statics: ResultIp[] = [];
  const heldStatics: Ip[] = [];
  const required: Ip[] = [];
  const isKnown = (ip: Ip) =>
    required.some((each) => equalIp(each, ip)) || statics.some(({ address }) => equalIp(address.ip, ip));
  const isOfRange = (ip: Ip) => ranges.some(({ spans }) => spansContain(spans, ip));
  for (const asked of ofRuntime) {
    const address = parsePrefix(asked);
    const ip = address?.ip ?? parseIp(asked);
    if (ip === undefined)
      throw new CniError(code.invalidConfig, `$.runtimeConfig.ips: ${JSON.stringify(asked)} is no IP address`);
    if (isKnown(ip)) continue;
    if (isOfRange(ip)) required.push(ip);
    else if (address !== undefined) statics.push({ address });
    else unplaced.push(asked);
  }
  for (const each of ofArgs) {
    const { ip } = each.address;
    if (isKnown(ip)) continue;
    statics.push(each);
    if (isOfRange(ip)) heldStatics.push(ip);
  }
  return { statics, heldStatics, required, unplaced };
}

function preferredAddresses(annotation: string | undefined, picks: readonly string[], warnings: string[]): Ip[] {
  const found: Ip[] = [];
  const add = (text: string, where: string): void => {
    const ip = parseIp(text.trim()) ?? parsePrefix(text.trim())?.ip;
    if (ip === undefined) warnings.push(`${where}: ${JSON.stringify(text)} is no IP address; it is passed over`);
    else found.push(ip);
  };
  for (const each of (annotation ?? "").split(","))
    if (each.trim() !== "") add(each, `annotation ${preferredIpAnnotation}`);
  picks.forEach((each, index) => add(each, `$.ipam.pick_addresses[${index}]`));
  return found;
}

function addressOption(value: string | undefined, path: string): Ip | undefined {
  if (value === undefined || value === "") return undefined;
  const ip = parseIp(value);
  if (ip !== undefined) return ip;
  const hint = "expected an IP address such as 10.0.0.1";
  throw new CniError(code.invalidConfig, `couldn't parse gateway IP: ${value} (at ${path})`, hint);
}

/** As whereabouts a level that is none is passed over, but not without a word. */
function levelOption(value: string, warnings: string[]): LogLevel | undefined {
  if (value === "") return undefined;
  const level = parseLogLevel(value);
  if (level === undefined)
    warnings.push(`$.ipam.log_level: ${JSON.stringify(value)} is passed over: expected debug, verbose, error or panic`);
  return level;
}

function lockOption(value: string): boolean {
  if (value === "" || value === "none") return false;
  if (value === "lease") return true;
  throw new CniError(
    code.invalidConfig,
    `$.ipam.coexist_lock: expected "lease" or "none", found ${JSON.stringify(value)}`,
  );
}
