import { CniError, code } from "../../cni/error.ts";
import type { AddCall, AttachmentCall, CheckCall, DelCall, GcCall, Plugin, StatusCall } from "../../cni/plugin.ts";
import type { Result } from "../../cni/result.ts";
import { equalIp, formatIp, type Ip, parseIp } from "../../ip/address.ts";
import { SystemError } from "../../libc/errno.ts";
import { readText } from "../../libc/file.ts";
import { type Candidate, candidate, capacity, firstCandidate } from "./allocator.ts";
import { dataDirOf, type HostLocalConfig, parseConfig } from "./config.ts";
import { describeHolder, formatHolder, type Holder, parseHolder } from "./lease.ts";
import { formatSet, rangeFor, type RangeSet } from "./range-set.ts";
import { parseResolvConf } from "./resolv-conf.ts";
import { LeaseStore } from "./store.ts";

/** How many holders an error about an exhausted set names. */
const shownHolders = 3;

/**
 * IPAM from ranges in the config, with the leases as files of this node. Config, files and messages are upstream's; beyond it: GC and
 * STATUS, a CHECK that looks at each address of the result, holders in the details of errors, and a DEL that needs nothing but the
 * network's name and `ipam.dataDir`.
 */
export const plugin: Plugin<HostLocalConfig> = {
  name: "host-local",
  isIpam: true,
  parse: parseConfig,
  add: (call) => orIoError(() => add(call)),
  del: (call) => orIoError(() => del(call)),
  check: (call) => orIoError(() => check(call)),
  status: (call) => orIoError(() => status(call)),
  gc: (call) => orIoError(() => collect(call)),
};

function add(call: AddCall<HostLocalConfig>): Result {
  const { config, conf } = call;
  const dns = config.resolvConf === "" ? {} : parseResolvConf(readText(config.resolvConf));
  const open = [...config.requested];
  const ips: Candidate[] = [];
  using store = LeaseStore.open(config.dataDir, conf.name);
  for (const set of config.sets) {
    const index = ips.length;
    const wanted = takeOut(open, set);
    try {
      ips.push(wanted === undefined ? leaseAny(call, store, set, index) : leaseWanted(call, store, set, index, wanted));
    } catch (error) {
      throw toCniError(error).within(`failed to allocate for range ${index}: `);
    }
  }
  if (open.length > 0) {
    const unused = open.map(formatIp).join(" ");
    const details = `one address is leased from each of the range sets ${config.sets.map(formatSet).join(" and ")}`;
    throw new CniError(code.invalidConfig, `failed to allocate all requested IPs: ${unused}`, details);
  }
  return { interfaces: [], ips, routes: config.routes, dns };
}

/** The first of the addresses that is of the set, and no longer among them; undefined when there is none. */
function takeOut(ips: Ip[], set: RangeSet): Ip | undefined {
  for (let index = 0; index < ips.length; index++) {
    if (rangeFor(set, ips[index]!) !== undefined) return ips.splice(index, 1)[0];
  }
  return undefined;
}

function leaseWanted(
  call: AddCall<HostLocalConfig>,
  store: LeaseStore,
  set: RangeSet,
  index: number,
  wanted: Ip,
): Candidate {
  const range = rangeFor(set, wanted);
  if (range === undefined) throw new CniError(code.internal, `${formatIp(wanted)} not in range set ${formatSet(set)}`);
  if (equalIp(wanted, range.gateway)) {
    throw new CniError(code.invalidConfig, `requested ip ${formatIp(wanted)} is subnet's gateway`);
  }
  if (take(call, store, index, wanted)) return candidate(range, wanted);
  const held = store.holderOf(wanted);
  // A file without content is gone now that it was looked at.
  if (held === undefined && take(call, store, index, wanted)) return candidate(range, wanted);
  throw new CniError(
    code.tryAgainLater,
    `requested IP address ${formatIp(wanted)} is not available in range set ${formatSet(set)}`,
    held === undefined ? "" : `held by ${describeHolder(held.text)}, since ${held.since.toISOString()}`,
  );
}

function leaseAny(call: AddCall<HostLocalConfig>, store: LeaseStore, set: RangeSet, index: number): Candidate {
  refuseSecondLease(call, store, set);
  const found = leaseNext(call, store, set, index);
  if (found !== undefined) return found;
  const again = store.sweep().length > 0 ? leaseNext(call, store, set, index) : undefined;
  if (again !== undefined) return again;
  throw exhausted(store, set);
}

function leaseNext(
  call: AddCall<HostLocalConfig>,
  store: LeaseStore,
  set: RangeSet,
  index: number,
): Candidate | undefined {
  return firstCandidate(set, store.lastReserved(index), ({ address }) => take(call, store, index, address.ip));
}

function take(call: AddCall<HostLocalConfig>, store: LeaseStore, index: number, ip: Ip): boolean {
  const taken = store.take(holderOf(call), ip);
  if (taken === undefined) return false;
  call.undo.push(`lease ${taken.name}`, () => {
    using later = LeaseStore.openIfExists(call.config.dataDir, call.conf.name);
    later?.release(taken);
  });
  store.rememberLast(index, ip);
  return true;
}

function refuseSecondLease(call: AttachmentCall, store: LeaseStore, set: RangeSet): void {
  for (const { name } of store.leasesOf(holderOf(call))) {
    const ip = parseIp(name);
    if (ip === undefined || rangeFor(set, ip) === undefined) continue;
    const text = `${name} has been allocated to ${call.containerId}, duplicate allocation is not allowed`;
    throw new CniError(code.invalidEnvironment, text, `interface ${call.ifName} needs a DEL before its next ADD`);
  }
}

/** Code 50, and in the details who has the first few addresses. */
function exhausted(store: LeaseStore, set: RangeSet): CniError {
  const text = `no IP addresses available in range set: ${formatSet(set)}`;
  const size = capacity(set);
  if (size === 0n) return new CniError(code.notAvailable, text, "it has nothing but its gateway");
  const shown: string[] = [];
  firstCandidate(set, undefined, ({ address }) => {
    const held = store.holderOf(address.ip);
    if (held !== undefined) shown.push(`${formatIp(address.ip)} by ${describeHolder(held.text)}`);
    return shown.length === shownHolders;
  });
  const more = size > BigInt(shown.length) ? "; and so on" : "";
  return new CniError(code.notAvailable, text, `its ${size} addresses are leased: ${shown.join("; ")}${more}`);
}

function del(call: DelCall<HostLocalConfig>): void {
  using store = LeaseStore.openIfExists(dataDirOf(call.conf), call.conf.name);
  for (const each of store?.leasesOf(holderOf(call)) ?? []) store?.release(each);
}

/** Each address of the result that is from our ranges must be leased to this attachment, and there must be one at least. */
function check(call: CheckCall<HostLocalConfig>): void {
  const { config, containerId, ifName } = call;
  using store = LeaseStore.openIfExists(config.dataDir, call.conf.name);
  const leases = store?.leasesOf(holderOf(call)) ?? [];
  const failed = `host-local: Failed to find address added by container ${containerId}`;
  if (store === undefined || leases.length === 0) {
    const where = `${config.dataDir}/${call.conf.name}`;
    throw new CniError(code.internal, failed, `no lease of interface ${ifName} in ${where}`);
  }
  for (const { address } of call.prevResult.ips) {
    const name = formatIp(address.ip);
    if (!config.sets.some((set) => rangeFor(set, address.ip)) || leases.some((each) => each.name === name)) continue;
    const held = store.holderOf(address.ip);
    const details = held === undefined ? `${name} is not leased` : `${name} is held by ${describeHolder(held.text)}`;
    throw new CniError(code.internal, `${failed}: ${name}`, `${details}; interface ${ifName} needs it`);
  }
}

/** Whether an ADD could be served: the directory can be written, and every set has a free address. Code 50 if not. */
function status({ config, conf }: StatusCall<HostLocalConfig>): void {
  using store = openForStatus(config, conf.name);
  for (const set of config.sets) {
    if (!isExhausted(store, set)) continue;
    if (store.sweep().length === 0 || isExhausted(store, set)) throw exhausted(store, set);
  }
}

function openForStatus(config: HostLocalConfig, network: string): LeaseStore {
  try {
    return LeaseStore.open(config.dataDir, network);
  } catch (error) {
    if (error instanceof SystemError) {
      throw new CniError(code.notAvailable, `ipam.dataDir is not usable: ${error.message}`, "", { cause: error });
    }
    throw error;
  }
}

function isExhausted(store: LeaseStore, set: RangeSet): boolean {
  const names = store.names();
  if (capacity(set) > names.length) return false;
  const taken = new Set(names);
  return firstCandidate(set, undefined, ({ address }) => !taken.has(formatIp(address.ip))) === undefined;
}

/** Gives back what attachments hold that the runtime no longer knows. A file that names no container is a person's, and stays. */
function collect({ conf, valid, log }: GcCall<HostLocalConfig>): void {
  using store = LeaseStore.openIfExists(dataDirOf(conf), conf.name);
  const texts = new Set(valid.flatMap((each) => [formatHolder(each), each.containerId]));
  const isStale = (text: string) => !texts.has(text) && parseHolder(text) !== undefined;
  const removed = store?.sweep(isStale) ?? [];
  if (removed.length > 0)
    log.verbose(`GC gave back ${removed.length} addresses of ${conf.name}`, { ips: removed.join(" ") });
}

function holderOf({ containerId, ifName }: AttachmentCall): Holder {
  return { containerId, ifName };
}

function orIoError<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw toCniError(error);
  }
}

/** A failed system call with code 5; its message names the call and the file. */
function toCniError(error: unknown): CniError {
  return CniError.from(error, error instanceof SystemError ? code.io : code.internal);
}
