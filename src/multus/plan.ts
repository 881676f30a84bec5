import type { CniArgs } from "../cni/args.ts";
import { CniError } from "../cni/error.ts";
import { validateInterfaceName, validateNetworkName } from "../cni/names.ts";
import { inject } from "../cni/inject.ts";
import { type NetworkList, parseNetwork } from "../cni/network-list.ts";
import { formatIp, type Ip } from "../ip/address.ts";
import { stringify } from "../json/stringify.ts";
import { isJsonObject, type JsonObject } from "../json/value.ts";
import { getField } from "../json/struct.ts";
import { type MissingCapabilityPolicy, missingCapabilities } from "./capabilities.ts";
import { DispatchError } from "./dispatch-error.ts";
import { capabilityArgs, delegateArgs } from "./runtime-config.ts";
import type { NetworkSelectionElement } from "./selection.ts";

/** A network that is to be attached, as reading found it: nothing decided yet. */
export interface NetworkSource {
  /** How status and events name it: "namespace/name" of its definition, or the CNI name of a config from a file. */
  readonly name: string;
  /** Where the config came from, in words a person can follow up. */
  readonly origin: string;
  readonly list: NetworkList;
  /** What the pod asked of this attachment; absent for networks that the node's config names. */
  readonly element?: NetworkSelectionElement;
  /** The chain of `auxiliaryCNIChainName`: no network of its own, so the pod's status does not list it. */
  readonly isAuxiliary?: true;
}

/** One attachment as it will be made: everything that ADD, CHECK and DEL of it need. */
export interface Attachment {
  readonly name: string;
  readonly origin: string;
  readonly ifName: string;
  /** The pod's default network: its result is what the runtime gets. */
  readonly isDefault: boolean;
  /** As in `NetworkSource`. */
  readonly isAuxiliary?: true;
  readonly list: NetworkList;
  /** Capability arguments before each plugin's `capabilities` choose among them. */
  readonly capabilityArgs: JsonObject;
  /** CNI_ARGS. */
  readonly args: string;
  /** Gateways for the pod's default routes; empty: keep what the network's own config gives; absent: no say. */
  readonly defaultRoute?: readonly Ip[];
  readonly element?: NetworkSelectionElement;
}

/** What the pod should hear of although it gets its networks: the reason and the text of a Warning event. */
export interface PlanWarning {
  readonly reason: "MissingCapability";
  readonly message: string;
}

/** What will be done for a pod, in order; the default network first. */
export interface Plan {
  readonly attachments: readonly Attachment[];
  readonly warnings: readonly PlanWarning[];
}

export interface PlanInput {
  /** CNI_IFNAME: the default network's interface. */
  readonly ifName: string;
  readonly args: CniArgs;
  readonly runtimeConfig: JsonObject;
  readonly missingCapability: MissingCapabilityPolicy;
  /** The default network first, then the node's further networks, then the pod's, then the auxiliary chain. */
  readonly sources: readonly NetworkSource[];
}

/**
 * Turns what reading found into attachments. Pure. Interfaces are named by the selection element, else `net<position>` counting all
 * networks, as Multus counts. Throws `DispatchError` when two networks want one interface name, when default-route names two gateways of
 * one family or keeps the routes of two networks, when a name can't be used, when a network is a dispatcher again, and, where the
 * config says so, when a pod asks for what no plugin of the network can do.
 */
export function makePlan(input: PlanInput): Plan {
  const attachments = input.sources.map((source, index) => planAttachment(input, source, index));
  refuseEqualInterfaces(attachments);
  refuseSeveralGateways(attachments);
  refuseSeveralKeepers(attachments);
  const warnings = attachments.flatMap(capabilityWarnings);
  if (input.missingCapability === "fail" && warnings[0] !== undefined)
    throw new DispatchError(warnings[0].reason, warnings[0].message);
  return { attachments, warnings: input.missingCapability === "ignore" ? [] : warnings };
}

function planAttachment(input: PlanInput, source: NetworkSource, index: number): Attachment {
  const { element } = source;
  const isDefault = index === 0;
  const ifName = element?.interface ?? (isDefault ? input.ifName : `net${index}`);
  // What the chain would refuse is refused before anything is journaled.
  refuseBadNames(source, ifName);
  refuseOurselves(source);
  return {
    name: source.name,
    origin: source.origin,
    ifName,
    isDefault,
    ...(source.isAuxiliary ? { isAuxiliary: true } : {}),
    list: element?.cniArgs === undefined ? source.list : withCniArgs(source.list, element.cniArgs),
    capabilityArgs: capabilityArgs(input.runtimeConfig, element, isDefault),
    args: delegateArgs(input.args, element),
    ...(element?.defaultRoute === undefined ? {} : { defaultRoute: element.defaultRoute }),
    ...(element === undefined ? {} : { element }),
  };
}

function capabilityWarnings({ name, ifName, list, element }: Attachment): PlanWarning[] {
  return missingCapabilities(list, element).map(({ key, capability }) => ({
    reason: "MissingCapability",
    message:
      `network ${name} (interface ${ifName}): ${JSON.stringify(key)} of the pod's annotation reaches no plugin (${list.plugins.map(({ type }) => type).join("+")}): ` +
      `declare "capabilities": {${JSON.stringify(capability)}: true} in the config of the plugin that honours it`,
  }));
}

function refuseBadNames({ list, name, origin }: NetworkSource, ifName: string): void {
  try {
    validateNetworkName(list.name);
    validateInterfaceName(ifName);
  } catch (error) {
    throw new DispatchError("InvalidNetwork", `${origin === "" ? name : origin}: ${CniError.from(error).text}`, {
      cause: error,
    });
  }
}

/** A dispatcher that adopted its own config as the default network would call itself for ever. */
function refuseOurselves({ list, name, origin }: NetworkSource): void {
  if (!list.plugins.some(({ type }) => type === "multus" || type === "multus-shim")) return;
  throw new DispatchError(
    "InvalidNetwork",
    `network ${JSON.stringify(name)} (${origin}) is multus itself: name the network that pods should get instead`,
  );
}

/** What the pod's `cni-args` ask of every plugin's config: merged into `args.cni`, the pod's values winning (NPWG spec M16). */
function withCniArgs(list: NetworkList, cniArgs: JsonObject): NetworkList {
  const plugins = list.plugins.map(({ config }) => {
    const args = getField(config, "args");
    const base = isJsonObject(args) ? args : {};
    const cni = getField(base, "cni");
    return inject(config, { args: inject(base, { cni: { ...(isJsonObject(cni) ? cni : {}), ...cniArgs } }) });
  });
  const { name, cniVersion, disableCheck, disableGC } = list;
  return parseNetwork(stringify({ cniVersion, name, disableCheck, disableGC, plugins }));
}

function refuseEqualInterfaces(attachments: readonly Attachment[]): void {
  const holders = new Map<string, Attachment>();
  for (const attachment of attachments) {
    const holder = holders.get(attachment.ifName);
    if (holder !== undefined) {
      throw new DispatchError(
        "InvalidNetworkSelection",
        `networks ${holder.name} and ${attachment.name} both want interface ${attachment.ifName}`,
        {
          details: `networks without a name of their own are called net<position>; give one of them another "interface" in the pod's annotation`,
        },
      );
    }
    holders.set(attachment.ifName, attachment);
  }
}

function refuseSeveralGateways(attachments: readonly Attachment[]): void {
  for (const family of [4, 6]) {
    const wanted = attachments.flatMap(({ name, defaultRoute }) =>
      (defaultRoute ?? [])
        .filter((gateway) => gateway.family === family)
        .map((gateway) => `${formatIp(gateway)} on ${name}`),
    );
    if (wanted.length > 1) {
      throw new DispatchError(
        "InvalidNetworkSelection",
        `default-route names ${wanted.length} IPv${family} gateways (${wanted.join(", ")}): multus does not support ECMP for default-route, name one`,
      );
    }
  }
}

/** An empty default-route keeps the network's own routes and drops the others': of two such networks neither could be obeyed. */
function refuseSeveralKeepers(attachments: readonly Attachment[]): void {
  const keepers = attachments.filter(({ defaultRoute }) => defaultRoute?.length === 0).map(({ name }) => name);
  if (keepers.length < 2) return;
  throw new DispatchError(
    "InvalidNetworkSelection",
    `default-route is [] for ${keepers.join(" and ")}: only one network of a pod can keep its default route`,
  );
}
