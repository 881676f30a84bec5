import type { AddCall, AttachmentCall, CheckCall, DelCall, GcCall } from "../../cni/plugin.ts";
import type { ResultIp } from "../../cni/result.ts";
import type { Prefix } from "../../ip/prefix.ts";
import type { Link } from "../../rtnl/link.ts";
import type { BridgeConfig } from "./config.ts";

// What an attachment has in the node's packet filter. Few networks want any of it, so its code is loaded when one does.

/** The pair of interfaces that the rules speak of. */
export interface RuleEnds {
  /** Name of the bridge's port. */
  readonly port: string;
  readonly pod: Pick<Link, "mac">;
}

/** `macspoofchk`: the pod sends from its own MAC only. `undo` gets the removal. Throws `CniError`. */
export async function addSpoofCheck(call: AddCall<BridgeConfig>, ends: RuleEnds): Promise<void> {
  if (!call.config.macSpoofCheck) return;
  const { setupSpoofCheck } = await import("../filter/spoof-check.ts");
  setupSpoofCheck(call.host, spoofCheckOf(call, ends), call.undo);
}

/**
 * `ipMasq`: what the pod sends to other networks has the node's address. By iptables that is a process that somebody has to wait for, so
 * `meanwhile` is done while it runs. Comes back when both are done; `undo` gets the removal. Throws `CniError`, or what `meanwhile` throws.
 */
export async function addMasquerade<T>(
  call: AddCall<BridgeConfig>,
  ips: readonly ResultIp[],
  meanwhile: () => T,
): Promise<T> {
  if (!call.config.ipMasq) return meanwhile();
  const addresses: Prefix[] = [];
  for (const { address } of ips) addresses.push(address);
  const { setupMasquerade } = await import("../filter/masquerade.ts");
  const masqueraded = setupMasquerade(call.host, masqueradeOf(call, addresses), call.undo, call.log);
  try {
    return meanwhile();
  } finally {
    // Whatever happened: nothing may be taken back while it is still being made.
    await masqueraded;
  }
}

/** Throws `CniError` unless the rules that the config asks for are there. */
export async function checkRules(
  call: CheckCall<BridgeConfig>,
  ends: RuleEnds,
  addresses: readonly Prefix[],
): Promise<void> {
  const { config, host, log } = call;
  if (config.macSpoofCheck) {
    const { checkSpoofCheck } = await import("../filter/spoof-check.ts");
    checkSpoofCheck(host, spoofCheckOf(call, ends));
  }
  if (config.ipMasq && addresses.length > 0) {
    const { checkMasquerade } = await import("../filter/masquerade.ts");
    await checkMasquerade(host, masqueradeOf(call, addresses), log);
  }
}

/** Removes the spoof check if there can be one: a config that can't be read may have asked for it. */
export async function removeSpoofCheck({ config, host, containerId, ifName }: DelCall<BridgeConfig>): Promise<void> {
  if (config?.macSpoofCheck === false) return;
  const { teardownSpoofCheck } = await import("../filter/spoof-check.ts");
  teardownSpoofCheck(host, { containerId, ifName });
}

/** Removes the masquerading if there can be any; `addresses` are the pod's as far as they are known. */
export async function removeMasquerade(call: DelCall<BridgeConfig>, addresses: readonly Prefix[]): Promise<void> {
  if (call.config?.ipMasq === false) return;
  const { teardownMasquerade } = await import("../filter/masquerade.ts");
  await teardownMasquerade(call.host, { ...ownerOf(call), addresses }, call.log);
}

/** Removes the masquerading of all attachments of the network that are not valid any more, whatever the config says by now. */
export async function collectMasquerade({ conf, host, valid, log }: GcCall<BridgeConfig>): Promise<void> {
  const { gcMasquerade } = await import("../filter/masquerade.ts");
  await gcMasquerade(host, conf.name, valid, log);
}

/** As `collectMasquerade`, for spoof checks. */
export async function collectSpoofChecks({ host, valid }: GcCall<BridgeConfig>): Promise<void> {
  const { gcSpoofCheck } = await import("../filter/spoof-check.ts");
  gcSpoofCheck(host, valid);
}

function spoofCheckOf({ containerId, ifName }: AttachmentCall, { port, pod }: RuleEnds) {
  return { hostInterface: port, mac: pod.mac, containerId, ifName };
}

function masqueradeOf(call: AttachmentCall & { readonly config: BridgeConfig }, addresses: readonly Prefix[]) {
  return { ...ownerOf(call), backend: call.config.ipMasqBackend, addresses };
}

/** Whose the rules, and the pair of links, are. */
export function ownerOf({ conf, containerId, ifName }: AttachmentCall) {
  return { network: conf.name, containerId, ifName };
}
