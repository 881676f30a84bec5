import type { NetworkList } from "../cni/network-list.ts";
import type { Ip } from "../ip/address.ts";
import type { JsonObject } from "../json/value.ts";
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
  /** The resource that an attachment takes a device of (annotation k8s.v1.cni.cncf.io/resourceName of the definition). */
  readonly resourceName?: string;
  /** The definition's config had no name, and got the definition's (NPWG spec M3). */
  readonly isNameInjected?: true;
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
  readonly device?: AttachedDevice;
}

/** The device that an attachment is made of. */
export interface AttachedDevice {
  /** As in `NetworkSource`. */
  readonly resourceName: string;
  /** What kubelet has assigned; absent when the network does without, and when kubelet was not asked. */
  readonly id?: string;
}
