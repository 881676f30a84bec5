import type { Cluster, Pod } from "../cluster/port.ts";
import { parseArgs } from "../cni/args.ts";
import { requestConfig } from "../cni/chain.ts";
import { CniError } from "../cni/error.ts";
import { ipamTypeOf } from "../cni/network-list.ts";
import { formatIp } from "../ip/address.ts";
import { stringify } from "../json/stringify.ts";
import type { JsonObject } from "../json/value.ts";
import { silentLogger } from "../log/logger.ts";
import type { ConfigReview } from "../cni/plugin.ts";
import type { MultusConf } from "./config.ts";
import { reviewAnnotations, reviewConfigs } from "./config-review.ts";
import { knownDevices } from "./devices.ts";
import { DispatchError } from "./dispatch-error.ts";
import type { Attachment, NetworkSource } from "./attachment.ts";
import { missingPlugins } from "./missing-plugins.ts";
import { draftPlan, type PlanDraft } from "./plan.ts";
import { type SourceOutcome, surveySources } from "./sources.ts";

/** Why something would be refused, or what the pod would be warned of: the event that it would get. */
export interface ExplainedReason {
  readonly reason: string;
  readonly message: string;
}

/** A plugin of a network as it would be called. */
export interface ExplainedPlugin {
  readonly type: string;
  /** "" for none. */
  readonly ipam: string;
  /** Declared in its config. */
  readonly capabilities: readonly string[];
  /** What its config would get beyond what is written: name and version, arguments, device, runtimeConfig. */
  readonly injected: JsonObject;
}

/** One network of a pod, in the order of attachment, whether it can be attached or not. */
export interface ExplainedNetwork {
  readonly network: string;
  readonly isDefault: boolean;
  /** What names it: a key of the node's config, or an annotation of the pod. */
  readonly askedBy: string;
  /** Absent, with all that follows, when the network was not found. */
  readonly interface?: string;
  /** Where its config was found. */
  readonly configFrom?: string;
  readonly plugins?: readonly ExplainedPlugin[];
  /** CNI_ARGS. */
  readonly args?: string;
  /** The resource that it takes a device of. */
  readonly resourceName?: string;
  /** That device; absent when it is not known here. */
  readonly deviceId?: string;
  /** Gateways that the pod's default routes are moved to; empty: this network keeps its own. */
  readonly defaultRoute?: readonly string[];
  readonly refusals: readonly ExplainedReason[];
  readonly warnings: readonly ExplainedReason[];
}

/** What the dispatcher would do for a pod, and why. */
export interface PodExplanation {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** True when an ADD would fail, and leave nothing attached. */
  readonly isRefused: boolean;
  readonly networks: readonly ExplainedNetwork[];
  /** What could not be found out here. */
  readonly notes: readonly string[];
  /** What is wrong with the pod as a whole: annotations that can't be read. */
  readonly refusals: readonly ExplainedReason[];
}

const defaultIfName = "eth0";

/**
 * Reads and plans all networks of a pod as an ADD would, by the same code, to the end whatever fails; changes nothing. Throws only what is no
 * network's fault.
 */
export async function explainPod(conf: MultusConf, cluster: Cluster | undefined, pod: Pod): Promise<PodExplanation> {
  const { outcomes, failures } = await surveySources({ conf, cluster, pod, log: silentLogger });
  const { namespace, name, uid } = pod;
  const args = parseArgs(`IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name};K8S_POD_UID=${uid}`);
  const { runtimeConfig, missingCapability } = conf;
  const sources = outcomes.map(({ found }) => (found instanceof CniError ? undefined : found));
  const log = silentLogger;
  const { kubeletDir } = conf;
  const { devices, problem } = await knownDevices({ kubeletDir, sources, cluster, pod, identity: pod, log });
  const draft = draftPlan({ ifName: defaultIfName, args, runtimeConfig, missingCapability, devices, sources });
  const reviews: (ConfigReview | undefined)[] = [];
  for (const each of draft.attachments) reviews.push(each && (await reviewConfigs(conf, each)));
  const networks = outcomes.map((outcome, position) => explainNetwork(outcome, position, draft, reviews[position]));
  const refusals = failures.map(reasonOf);
  const isRefused = refusals.length > 0 || networks.some((network) => network.refusals.length > 0);
  const notes = [
    ...(problem === undefined ? [] : [problem]),
    ...missingPlugins(conf, sources),
    ...reviewAnnotations(pod),
  ];
  return { namespace, name, uid, isRefused, networks, notes, refusals };
}

function explainNetwork(
  outcome: SourceOutcome,
  position: number,
  draft: PlanDraft,
  review: ConfigReview | undefined,
): ExplainedNetwork {
  const { name, askedBy, found } = outcome;
  const attachment = draft.attachments[position];
  const base = { network: name, isDefault: position === 0, askedBy };
  if (found instanceof CniError || attachment === undefined) {
    return { ...base, refusals: found instanceof CniError ? [reasonOf(found)] : [], warnings: [] };
  }
  const { defaultRoute, device } = attachment;
  return {
    ...base,
    interface: attachment.ifName,
    configFrom: attachment.origin,
    plugins: explainPlugins(found, attachment),
    args: attachment.args,
    ...(device === undefined ? {} : { resourceName: device.resourceName }),
    ...(device?.id === undefined ? {} : { deviceId: device.id }),
    ...(defaultRoute === undefined ? {} : { defaultRoute: defaultRoute.map(formatIp) }),
    refusals: [
      ...draft.problems.filter(({ networks }) => networks.includes(position)).map(({ error }) => reasonOf(error)),
      ...(review === undefined || review.refusal === "" ? [] : [{ reason: "FailedToAttach", message: review.refusal }]),
    ],
    warnings: [
      ...found.list.warnings.map((message) => ({ reason: "InvalidNetwork", message })),
      ...draft.warnings
        .filter(({ network }) => network === position)
        .map(({ reason, message }) => ({ reason, message })),
      ...(review?.warnings ?? []).map((message) => ({ reason: "InvalidNetwork", message })),
    ],
  };
}

function explainPlugins(source: NetworkSource, { list, capabilityArgs }: Attachment): ExplainedPlugin[] {
  return list.plugins.map((entry, index) => {
    const { name, ...rest } = source.list.plugins[index]?.config ?? {};
    const before: JsonObject = name === undefined || source.isNameInjected ? rest : { name, ...rest };
    const sent = requestConfig(list, entry, capabilityArgs);
    return {
      type: entry.type,
      ipam: ipamTypeOf(entry.config),
      capabilities: entry.capabilities,
      injected: Object.fromEntries(Object.entries(sent).filter(([key, value]) => !isSame(before[key], value))),
    };
  });
}

function isSame(before: JsonObject[string] | undefined, after: JsonObject[string]): boolean {
  return before !== undefined && stringify(before) === stringify(after);
}

function reasonOf(error: CniError): ExplainedReason {
  return { reason: error instanceof DispatchError ? error.reason : "FailedToAttach", message: error.text };
}
