import { CniError, code } from "../../cni/error.ts";
import type { CheckCall } from "../../cni/plugin.ts";
import { formatIp } from "../../ip/address.ts";
import { spansContain } from "../../pool/spans.ts";
import { isStillHeld } from "./held.ts";
import { Journal } from "./journal.ts";
import { type ParsedConfig, settle } from "./parse.ts";
import { openSource } from "./store.ts";

/**
 * Each address of the result that is of our ranges must be claimed by this attachment, and each claim must still be ours in the store. Throws
 * `CniError` with the first that is not. (Upstream's CHECK always fails.)
 */
export async function check(call: CheckCall<ParsedConfig>): Promise<void> {
  const config = settle(call, call.config);
  if (config.ranges.length === 0) return;
  const failed = `whereabouts: failed to find the addresses of container ${call.containerId}, interface ${call.ifName}`;
  using journal = Journal.openIfExists(config.dataDir, call);
  const claims = journal?.claims ?? [];
  if (journal?.head === undefined || claims.length === 0)
    throw new CniError(code.internal, failed, `nothing is journaled in ${config.dataDir}`);
  const pools = await openSource(journal.head.source, call);
  for (const claim of claims) {
    if (await isStillHeld(pools, claim, config.dataDir)) continue;
    const held = claim.slice === undefined ? await pools.getReservation(claim.name) : undefined;
    const now = held === undefined ? "is gone" : `is held by pod ${held.podref} now`;
    throw new CniError(code.internal, failed, `reservation ${claim.name} ${now} (${pools.where})`);
  }
  for (const { address } of call.prevResult.ips) {
    const text = formatIp(address.ip);
    if (!config.ranges.some(({ spans }) => spansContain(spans, address.ip))) continue;
    if (claims.some((claim) => claim.address.startsWith(`${text}/`))) continue;
    throw new CniError(code.internal, failed, `${text} is not claimed by it`);
  }
}
