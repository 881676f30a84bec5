import { CniError } from "../../cni/error.ts";
import type { DelCall, GcCall } from "../../cni/plugin.ts";
import type { Prefix } from "../../ip/prefix.ts";
import { listAddresses } from "../../rtnl/address.ts";
import { getLink } from "../../rtnl/link.ts";
import { deleteLink } from "../../rtnl/link-change.ts";
import { explain } from "../common/explain.ts";
import { collectHostEnds, deleteHostEnd } from "../common/host-end.ts";
import type { BridgeConfig } from "./config.ts";
import { collectMasquerade, collectSpoofChecks, ownerOf, removeMasquerade, removeSpoofCheck } from "./rules.ts";

/**
 * DEL: the links first, for an address that is free again must not be answered for any more; then rules and addresses, all of them
 * whatever becomes of the others. Needs neither config, previous result nor namespace. The bridge stays.
 */
export async function del(call: DelCall<BridgeConfig>): Promise<void> {
  const addresses = addressesOf(call);
  deletePair(call);
  await attemptAll(call, [
    () => removeSpoofCheck(call),
    () => removeMasquerade(call, addresses),
    () => call.ipam.del(),
  ]);
}

/** GC: what attachments of this network that are no more have left on the node. */
export async function gc(call: GcCall<BridgeConfig>): Promise<void> {
  const { conf, host, ipam, valid } = call;
  await attemptAll(call, [
    () => collectHostEnds(host, conf.name, valid),
    () => collectSpoofChecks(call),
    () => collectMasquerade(call),
    () => ipam.gc(valid),
  ]);
}

/**
 * The pod's end takes the node's with it. Where it is not to be found (no namespace, or the pod has renamed it) the node's end is, and
 * takes the pod's with it.
 */
function deletePair(call: DelCall<BridgeConfig>): void {
  const { host, ifName, netns, conf } = call;
  const pod = netns.openIfExists();
  if (pod !== undefined) {
    const [error] = pod.rtnl.batch([deleteLink(ifName)]);
    if (error === undefined) return;
    if (error.code !== "ENODEV") throw explain(`failed to delete "${ifName}"`, error);
  }
  deleteHostEnd(host, ownerOf(call), conf.prevResult);
}

/** What masquerading may be in the names of: the result's addresses, or without a result those that are there. */
function addressesOf({ conf, config, netns, ifName }: DelCall<BridgeConfig>): readonly Prefix[] {
  const known = conf.prevResult?.ips.map(({ address }) => address) ?? [];
  if (known.length > 0 || config?.ipMasq === false) return known;
  const pod = netns.openIfExists();
  const link = pod === undefined ? undefined : getLink(pod.rtnl, ifName);
  return pod === undefined || link === undefined
    ? []
    : listAddresses(pod.rtnl, { device: link }).map(({ prefix }) => prefix);
}

/** Runs all; throws the first failure and logs the others. */
async function attemptAll(
  { log }: Pick<DelCall<BridgeConfig>, "log">,
  bodies: readonly (() => void | Promise<void>)[],
): Promise<void> {
  const failures: CniError[] = [];
  for (const body of bodies) {
    try {
      await body();
    } catch (error) {
      failures.push(CniError.from(error));
    }
  }
  const [first, ...others] = failures;
  for (const { message } of others) log.error(message);
  if (first !== undefined) throw first;
}
