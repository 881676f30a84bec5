import type { PodDevices } from "../cluster/kubelet/device-list.ts";
import type { CniArgs } from "../cni/args.ts";
import { inject } from "../cni/inject.ts";
import { type NetworkList, readNetwork } from "../cni/network-list.ts";
import { isJsonObject, type JsonObject } from "../json/value.ts";
import { getField } from "../json/struct.ts";
import type { Attachment, NetworkSource } from "./attachment.ts";
import type { MissingCapabilityPolicy } from "./capabilities.ts";
import { deviceInfoPath } from "./device-info-path.ts";
import { assignDevices } from "./devices.ts";
import { DispatchError } from "./dispatch-error.ts";
import { capabilityWarnings, type Placed, planProblems, type PlanProblem, type PlanWarning } from "./plan-rules.ts";
import { capabilityArgs, delegateArgs, ipamClaimKey } from "./runtime-config.ts";
import type { NetworkSelectionElement } from "./selection.ts";

/** What will be done for a pod, in order; the default network first. */
export interface Plan {
  readonly attachments: readonly Attachment[];
  readonly warnings: readonly PlanWarning[];
}

export interface PlanInput {
  /** CNI_IFNAME: the default network's interface. */
  readonly ifName: string;
  /** CNI_CONTAINERID; absent where nothing will be attached, and then no files are planned. */
  readonly containerId?: string;
  readonly args: CniArgs;
  readonly runtimeConfig: JsonObject;
  readonly missingCapability: MissingCapabilityPolicy;
  /** The devices that kubelet has assigned to the pod; absent when it was not asked, and then no network gets or lacks one. */
  readonly devices?: PodDevices | undefined;
  /** The default network first, then the node's further networks, then the pod's, then the auxiliary chain. */
  readonly sources: readonly NetworkSource[];
}

/** A plan with all that speaks against it. */
export interface PlanDraft {
  /** By position; undefined where there is no source. */
  readonly attachments: readonly (Attachment | undefined)[];
  readonly problems: readonly PlanProblem[];
  readonly warnings: readonly PlanWarning[];
}

/**
 * Turns what reading found into attachments. Pure. Interfaces are named by the selection element, else `net<position>` counting all
 * networks, as Multus counts. Throws `DispatchError` when two networks want one interface name, when default-route names two gateways of
 * one family or keeps the routes of two networks, when a name can't be used, when a network is a dispatcher again, when the pod has fewer
 * devices than its networks need, and, where the config says so, when it asks for what no plugin of the network can do.
 */
export function makePlan(input: PlanInput): Plan {
  const { attachments, problems, warnings } = draftPlan(input);
  const [first] = problems;
  if (first !== undefined) throw first.error;
  const planned: Attachment[] = [];
  for (const attachment of attachments) if (attachment !== undefined) planned.push(attachment);
  return { attachments: planned, warnings };
}

/** As `makePlan`, but finds out everything that is wrong. A network that reading did not find is undefined and keeps its position. */
export function draftPlan(
  input: Omit<PlanInput, "sources"> & { readonly sources: readonly (NetworkSource | undefined)[] },
): PlanDraft {
  const { deviceIds, shortages } = assignDevices(input.sources, input.devices);
  const attachments: (Attachment | undefined)[] = [];
  const placed: Placed[] = [];
  for (const [position, source] of input.sources.entries()) {
    const attachment = source && planAttachment(input, source, position, deviceIds[position]);
    attachments.push(attachment);
    if (attachment !== undefined) placed.push({ position, attachment });
  }
  const problems = [...planProblems(placed), ...shortages];
  if (input.missingCapability === "ignore") return { attachments, problems, warnings: [] };
  const unheard = capabilityWarnings(placed);
  if (input.missingCapability === "warn") return { attachments, problems, warnings: unheard };
  for (const { network, reason, message } of unheard)
    problems.push({ networks: [network], error: new DispatchError(reason, message) });
  return { attachments, problems, warnings: [] };
}

function planAttachment(
  input: Omit<PlanInput, "sources">,
  source: NetworkSource,
  position: number,
  assigned: string | undefined,
): Attachment {
  const { element, resourceName } = source;
  const isDefault = position === 0;
  const ifName = element?.interface ?? (isDefault ? input.ifName : `net${position}`);
  const deviceId = assigned ?? element?.deviceId;
  const file =
    input.containerId !== undefined && (deviceId !== undefined || declares(source.list, "CNIDeviceInfoFile"))
      ? { CNIDeviceInfoFile: deviceInfoPath(source.name, input.containerId, ifName) }
      : {};
  return {
    name: source.name,
    origin: source.origin,
    ifName,
    isDefault,
    ...(source.isAuxiliary ? { isAuxiliary: true } : {}),
    list: withInjections(source.list, argsOf(element), assigned),
    capabilityArgs: {
      ...capabilityArgs(input.runtimeConfig, element, isDefault),
      ...(deviceId === undefined ? {} : { deviceID: deviceId }),
      ...file,
    },
    args: delegateArgs(input.args, element),
    ...(element?.defaultRoute === undefined ? {} : { defaultRoute: element.defaultRoute }),
    ...(element === undefined ? {} : { element }),
    ...(resourceName === undefined
      ? {}
      : { device: { resourceName, ...(assigned === undefined ? {} : { id: assigned }) } }),
  };
}

function declares({ plugins }: NetworkList, capability: string): boolean {
  for (const { capabilities } of plugins) if (capabilities.includes(capability)) return true;
  return false;
}

/** What `args.cni` carries from the pod's annotation; undefined for nothing. */
function argsOf(element: NetworkSelectionElement | undefined): JsonObject | undefined {
  if (element?.ipamClaimReference === undefined) return element?.cniArgs;
  return { ...element.cniArgs, [ipamClaimKey]: element.ipamClaimReference };
}

/**
 * What every plugin's config of a network gets beyond what is written: the pod's `cni-args` and its claim (M18), merged into `args.cni`, the pod's values
 * winning (NPWG spec M16); and the device, as `deviceID` and `pciBusID`, by which names the various plugins know it.
 */
function withInjections(list: NetworkList, cniArgs: JsonObject | undefined, deviceId: string | undefined): NetworkList {
  if (cniArgs === undefined && deviceId === undefined) return list;
  const plugins = list.plugins.map(({ config }) =>
    inject(config, {
      ...(deviceId === undefined ? {} : { deviceID: deviceId, pciBusID: deviceId }),
      ...(cniArgs === undefined ? {} : { args: mergedArgs(getField(config, "args"), cniArgs) }),
    }),
  );
  const { name, cniVersion, disableCheck, disableGC, written } = list;
  const injected = readNetwork({ cniVersion, name, disableCheck, disableGC, plugins });
  return written === undefined ? injected : { ...injected, written };
}

function mergedArgs(args: unknown, cniArgs: JsonObject): JsonObject {
  const base = isJsonObject(args) ? args : {};
  const cni = getField(base, "cni");
  return inject(base, { cni: { ...(isJsonObject(cni) ? cni : {}), ...cniArgs } });
}
