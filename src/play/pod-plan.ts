import type { Cluster, Pod } from "../cluster/port.ts";
import { parseArgs } from "../cni/args.ts";
import { CniError, code } from "../cni/error.ts";
import { formatIp } from "../ip/address.ts";
import { isJsonObject, type JsonObject, parse } from "../json/value.ts";
import { silentLogger } from "../log/logger.ts";
import type { MultusConf } from "../multus/config.ts";
import { knownDevices } from "../multus/devices.ts";
import type { Attachment } from "../multus/attachment.ts";
import { reviewAnnotations, reviewConfigs } from "../multus/config-review.ts";
import { missingPlugins } from "../multus/missing-plugins.ts";
import { makePlan } from "../multus/plan.ts";
import { networkSources } from "../multus/sources.ts";
import { podInterface } from "./default-conf.ts";
import { podFailure, type PodFailure } from "./pod-failure.ts";
import { describeChain } from "./pod-conf.ts";

/** One network of a pod as it would be attached. */
export interface PlannedAttachment {
  readonly interface: string;
  readonly network: string;
  readonly plugin: string;
  /** Where the config was found. */
  readonly origin: string;
  readonly isDefault: boolean;
  /** CNI_ARGS. */
  readonly args: string;
  /** What plugins that declare the capability are given as runtimeConfig. */
  readonly capabilityArgs: JsonObject;
  /** Gateways that the pod's default routes are moved to; absent when the pod says nothing of it. */
  readonly defaultRoute?: readonly string[];
  readonly config: JsonObject;
}

/** What a pod would get, in order; the default network first. */
export interface PodPlan {
  readonly namespace: string;
  readonly name: string;
  readonly attachments: readonly PlannedAttachment[];
  /** What the pod gets its networks in spite of, in words. */
  readonly warnings: readonly string[];
}

/** What would become of the pods, in the order of the manifests; each is in one of both lists. */
export interface PlanReport {
  readonly pods: readonly PodPlan[];
  readonly failures: readonly PodFailure[];
}

/** Plans pods as the dispatcher would, by its own code, and changes nothing. A pod that would be refused is a failure with the reason. */
export async function planPods(
  confFor: (pod: Pod) => MultusConf,
  cluster: Cluster,
  pods: readonly Pod[],
): Promise<PlanReport> {
  const plans: PodPlan[] = [];
  const failures: PodFailure[] = [];
  for (const pod of pods) {
    const { namespace, name } = pod;
    try {
      plans.push({ namespace, name, ...(await planPod(confFor(pod), cluster, pod)) });
    } catch (error) {
      failures.push(podFailure(pod, error));
    }
  }
  return { pods: plans, failures };
}

async function planPod(
  conf: MultusConf,
  cluster: Cluster,
  pod: Pod,
): Promise<Pick<PodPlan, "attachments" | "warnings">> {
  const log = silentLogger;
  const sources = await networkSources({ conf, cluster, pod, log });
  const args = parseArgs(
    `IgnoreUnknown=1;K8S_POD_NAMESPACE=${pod.namespace};K8S_POD_NAME=${pod.name};K8S_POD_UID=${pod.uid}`,
  );
  const { runtimeConfig, missingCapability } = conf;
  const { kubeletDir } = conf;
  const { devices, problem } = await knownDevices({ kubeletDir, sources, cluster, pod, identity: pod, log });
  const plan = makePlan({ ifName: podInterface, args, runtimeConfig, missingCapability, devices, sources });
  const reviews = await Promise.all(plan.attachments.map((each) => reviewConfigs(conf, each)));
  const refused = reviews.find(({ refusal }) => refusal !== "");
  // What is doubtful beside it may be the reason: a slip in the key that is missed.
  if (refused !== undefined) throw new CniError(code.invalidConfig, [refused.refusal, ...refused.warnings].join("; "));
  const warnings = [
    ...plan.warnings.map(({ message }) => message),
    ...reviews.flatMap((review) => review.warnings),
    ...missingPlugins(conf, plan.attachments),
    ...reviewAnnotations(pod),
  ];
  return {
    attachments: plan.attachments.map(describe),
    warnings: problem === undefined ? warnings : [...warnings, problem],
  };
}

function describe({
  ifName,
  name,
  list,
  origin,
  isDefault,
  args,
  capabilityArgs,
  defaultRoute,
}: Attachment): PlannedAttachment {
  const { value } = parse(list.text);
  return {
    interface: ifName,
    network: name,
    plugin: describeChain(list),
    origin,
    isDefault,
    args,
    capabilityArgs,
    ...(defaultRoute === undefined ? {} : { defaultRoute: defaultRoute.map(formatIp) }),
    config: isJsonObject(value) ? value : {},
  };
}
