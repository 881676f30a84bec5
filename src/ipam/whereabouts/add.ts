import { argument } from "../../cni/args.ts";
import { CniError, code } from "../../cni/error.ts";
import type { AddCall } from "../../cni/plugin.ts";
import type { Result, ResultIp } from "../../cni/result.ts";
import { clearSettled, markSettled } from "../../cni/settled.ts";
import type { Pools } from "../../cluster/pools/port.ts";
import type { Ip } from "../../ip/address.ts";
import { parsePrefix } from "../../ip/prefix.ts";
import { spansContain } from "../../pool/spans.ts";
import type { ClaimContext } from "./claim-context.ts";
import { RangeClaimer } from "./claimer.ts";
import { podRefOf, type WhereaboutsConfig } from "./config.ts";
import { isStillHeld } from "./held.ts";
import { Journal } from "./journal.ts";
import { poolsWithLeft } from "./left-entry.ts";
import { nodeName } from "./node-name.ts";
import { type ParsedConfig, settle, withLog } from "./parse.ts";
import type { OwnSlices } from "./own-slices.ts";
import type { RangePlan } from "./range-plan.ts";
import { releaseAll } from "./release.ts";
import { openStore } from "./store.ts";

/**
 * Claims one address of each range, all ranges at once. An ADD that is repeated for the same sandbox gets what it has. Whatever fails, every
 * claim is taken back; what can't be stays in the journal for DEL.
 */
export async function claimAll(given: AddCall<ParsedConfig>): Promise<Result> {
  const config = settle(given, given.config);
  const call = withLog(given, config);
  for (const warning of config.warnings) call.log.error(warning, { network: call.conf.name });
  if (config.ranges.length === 0) return resultOf(config, []);
  using journal = Journal.open(config.dataDir, call);
  const pools = await openStore(config, call);
  const held = await stillHeld(pools, journal, config, call.ifName);
  if (held !== undefined) return resultOf(config, held);
  if (journal.claims.length > 0)
    await releaseAll(async () => pools, journal, { dataDir: config.dataDir, isUnused: true });
  const podref = podRefOf(call.args);
  journal.begin({ network: call.conf.name, source: pools.source, podref });
  clearSettled(config.dataDir, markOf(call));
  call.undo.push("claimed addresses", () => takeBack(call, config, pools));
  const context: ClaimContext = {
    pools,
    config,
    journal,
    network: call.conf.name,
    containerId: call.containerId,
    ifName: call.ifName,
    podref,
    podUid: argument(call.args, "K8S_POD_UID") ?? "",
    node: nodeName(call.runtime.environment, config.configurationPath),
    owner: crypto.randomUUID(),
    log: call.log,
  };
  const slices = config.isSliced ? await slicesFor(context) : undefined;
  const claim = async () => {
    let count = 0;
    // Each with an owner of its own: an address that is to rest is noted under its owner.
    for (const ip of config.heldStatics)
      await claimStatic({ ...context, owner: `${context.owner}-${count++}` }, slices, ip);
    return await claimRanges(context, slices);
  };
  const identity = `${podref}/${call.containerId}/${call.ifName}`;
  const ips = config.takesLease ? await pools.underLease(identity, call.log, claim) : await claim();
  journal.complete();
  if (config.isSliced && !config.isOverlapChecked) await indexOwn(call, config.dataDir);
  return resultOf(config, ips);
}

/** The pools of this node's slices follow in a process of their own. */
async function indexOwn(call: AddCall<ParsedConfig>, dataDir: string): Promise<void> {
  const { startIndex } = await import("./start-index.ts");
  await startIndex(call, dataDir);
}

/** By which name an attachment is remembered to hold nothing. */
export function markOf({ containerId, ifName }: { readonly containerId: string; readonly ifName: string }): string {
  return `${containerId}:${ifName}`;
}

/**
 * The addresses of an earlier ADD of the same sandbox, if it was finished and all are still ours; one for each range. Throws `CniError` code 4 when they
 * are of other ranges: the interface may still have them.
 */
async function stillHeld(
  pools: Pools,
  journal: Journal,
  config: WhereaboutsConfig,
  ifName: string,
): Promise<ResultIp[] | undefined> {
  const { claims } = journal;
  if (!journal.isComplete || claims.length === 0) return undefined;
  const found = await Promise.all(claims.map((claim) => isStillHeld(pools, claim, config.dataDir)));
  if (found.includes(false)) return undefined;
  const ips: ResultIp[] = [];
  for (let index = 0; index < config.ranges.length; index++) {
    const claim = claims.find(({ range }) => range === index);
    const address = claim === undefined ? undefined : parsePrefix(claim.address);
    const { spans } = config.ranges[index]!;
    if (address === undefined || !spansContain(spans, address.ip)) {
      const held = claims.map((each) => each.address).join(", ");
      const text = `interface ${ifName} has ${held} already, which is not of ${config.ranges[index]!.text}`;
      throw new CniError(code.invalidEnvironment, text, "it needs a DEL before its next ADD");
    }
    ips.push({ address });
  }
  return ips;
}

/** A static address that a range could give to somebody else is claimed too. */
async function claimStatic(context: ClaimContext, slices: OwnSlices | undefined, ip: Ip): Promise<void> {
  const range = context.config.ranges.find(({ spans }) => spansContain(spans, ip));
  if (range === undefined) return;
  const claimer = await claimerOf(context, slices, range, -1);
  await claimer.claimExactly(ip);
}

/** What this node has of the ranges that are divided. */
async function slicesFor(context: ClaimContext): Promise<OwnSlices> {
  const { config, network } = context;
  const [{ OwnSlices: Slices }, { SliceFolder }] = await Promise.all([
    import("./own-slices.ts"),
    import("./slice-folder.ts"),
  ]);
  return new Slices(context, new SliceFolder(config.dataDir, config.networkName || network));
}

/** `index` is what the journal is to say. */
async function claimerOf(
  context: ClaimContext,
  slices: OwnSlices | undefined,
  range: RangePlan,
  index: number,
): Promise<Pick<RangeClaimer, "claimAny" | "claimExactly">> {
  // Two ranges may share addresses: what one of them has made must not look like the other's own.
  const own = { ...context, owner: `${context.owner}-${index}` };
  if (slices === undefined || range.sliceBits === undefined) return new RangeClaimer(own, range, index);
  const { SliceClaimer } = await import("./slice-claimer.ts");
  return new SliceClaimer(own, range, index, slices);
}

/** All ranges at once, and all to the end, so that nothing is still being claimed when the failure of one is taken back. */
async function claimRanges(context: ClaimContext, slices: OwnSlices | undefined): Promise<ResultIp[]> {
  const { ranges } = context.config;
  const open = [...context.config.required];
  const claims: Promise<Ip>[] = [];
  for (let index = 0; index < ranges.length; index++) {
    const range = ranges[index]!;
    const claimer = await claimerOf(context, slices, range, index);
    const wanted = open.findIndex((ip) => spansContain(range.spans, ip));
    const [ip] = wanted < 0 ? [] : open.splice(wanted, 1);
    claims.push(ip === undefined ? claimer.claimAny() : claimer.claimExactly(ip));
  }
  const ips: ResultIp[] = [];
  for (const [index, outcome] of (await Promise.allSettled(claims)).entries()) {
    if (outcome.status === "rejected") throw outcome.reason;
    ips.push({ address: { ip: outcome.value, bits: ranges[index]!.network.bits } });
  }
  return ips;
}

async function takeBack(call: AddCall<ParsedConfig>, { dataDir }: WhereaboutsConfig, pools: Pools): Promise<void> {
  using journal = Journal.openIfExists(dataDir, call);
  if (journal === undefined) return;
  await releaseAll(async () => pools, journal, { dataDir, isUnused: true });
  journal.remove();
  markSettled(dataDir, markOf(call), call.log);
  if (poolsWithLeft(dataDir).length === 0) return;
  const { startRemover } = await import("./start-index.ts");
  await startRemover(call, dataDir);
}

/** The addresses of the ranges in their order, each with the gateway of its family, then the static ones. */
function resultOf(config: WhereaboutsConfig, claimed: readonly ResultIp[]): Result {
  const { gateway, statics, routes, dns } = config;
  const ips: ResultIp[] = [];
  for (const { address } of claimed)
    ips.push(gateway?.family === address.ip.family ? { address, gateway } : { address });
  return { interfaces: [], ips: [...ips, ...statics], routes, dns };
}
