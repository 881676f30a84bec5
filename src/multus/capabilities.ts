import { ipamTypeOf, type NetworkList } from "../cni/network-list.ts";
import type { NetworkSelectionElement } from "./selection.ts";

/** What becomes of a wish that no plugin of the network can hear of (config key `missingCapability`). */
export type MissingCapabilityPolicy = "warn" | "fail" | "ignore";

interface Wish {
  /** As the annotation writes it. */
  readonly key: string;
  /** The capability that a plugin must declare to be told. */
  readonly capability: string;
  readonly isAsked: (element: NetworkSelectionElement) => boolean;
}

/** NPWG spec 1.3, 4.1.2.1: the keys of an element that reach a plugin as a capability only. */
const wishes: readonly Wish[] = [
  { key: "ips", capability: "ips", isAsked: ({ ips }) => ips !== undefined },
  { key: "mac", capability: "mac", isAsked: ({ mac }) => mac !== undefined },
  { key: "bandwidth", capability: "bandwidth", isAsked: ({ bandwidth }) => bandwidth !== undefined },
  { key: "portMappings", capability: "portMappings", isAsked: ({ portMappings }) => (portMappings?.length ?? 0) > 0 },
  {
    key: "infiniband-guid",
    capability: "infinibandGUID",
    isAsked: ({ infinibandGuid }) => infinibandGuid !== undefined,
  },
];

/**
 * Plugins that honour a wish without the capability, as configs written for Multus count on: they take addresses and MACs from CNI_ARGS,
 * or (OVN-Kubernetes) read the pod's annotation themselves. Of other foreign plugins nobody can know; the specification then wants
 * the capability.
 */
const listeners: Readonly<Record<string, readonly string[]>> = {
  "host-local": ["ips"],
  static: ["ips"],
  whereabouts: ["ips"],
  "calico-ipam": ["ips"],
  bridge: ["mac"],
  macvlan: ["mac"],
  tap: ["mac"],
  tuning: ["mac"],
  sriov: ["mac"],
  ovs: ["mac"],
  "ovn-k8s-cni-overlay": ["ips", "mac"],
};

/** A key of a selection element that no plugin of the network would hear of, and the capability that it needs. */
export interface MissingCapability {
  readonly key: string;
  readonly capability: string;
}

/** What the pod asks of a network that none of its plugins can honour (NPWG spec M10 to M14); empty when everything is heard. */
export function missingCapabilities(
  { plugins }: NetworkList,
  element: NetworkSelectionElement | undefined,
): MissingCapability[] {
  if (element === undefined) return [];
  const asked: Wish[] = [];
  for (const wish of wishes) if (wish.isAsked(element)) asked.push(wish);
  // Most pods ask for nothing but the network.
  if (asked.length === 0) return [];
  const heard = new Set(
    plugins.flatMap(({ type, capabilities, config }) => [...capabilities, ...heardBy(type, config)]),
  );
  return asked.filter(({ capability }) => !heard.has(capability)).map(({ key, capability }) => ({ key, capability }));
}

function heardBy(type: string, config: NetworkList["plugins"][number]["config"]): readonly string[] {
  return [type, ipamTypeOf(config)].flatMap((name) => (Object.hasOwn(listeners, name) ? (listeners[name] ?? []) : []));
}
