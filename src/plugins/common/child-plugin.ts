import type { CheckCall, DelCall, GcCall, StatusCall } from "../../cni/plugin.ts";
import type { LinkData } from "../../rtnl/kinds/table.ts";
import type { Link } from "../../rtnl/link.ts";
import { checkAddressing, checkLink, checkMtu, findPodInterface, mismatch } from "./check.ts";
import { standsOn } from "./child-link.ts";
import { checkEarlySysctls } from "./early-sysctls.ts";
import { type MasterPlace, placeOf, requireMaster } from "./master.ts";
import { openPod } from "./pod-netns.ts";
import { removeLink } from "./remove-link.ts";

/** What plugins whose link stands on a master (macvlan, ipvlan, vlan) have in common in their configs. */
export interface ChildConfig {
  /** Name of the master; "" or undefined means the device of the default route. */
  readonly master: string | undefined;
  /** The config itself names the master. */
  readonly isMasterNamed: boolean;
  /** `linkInContainer`: the master is in the pod. */
  readonly isMasterInPod: boolean;
  /** 0 leaves it to the kernel, which takes the master's. */
  readonly mtu: number;
}

/** What is a plugin's own in CHECK. */
export interface OwnChecks<Config> {
  /** Throws `CniError` unless the link is of the kind, mode … that the config asks for. */
  readonly checkKind: (link: Link, config: Config) => void;
  /** The master that the config names. Throws `CniError` when it is missing, or does not suit the config. */
  readonly findMaster: (place: MasterPlace, config: Config) => Link;
}

/** CHECK: the link is the result's, of its kind, on the master if the config names one, with the addresses, routes and sysctls it was given. */
export async function checkChild<Config extends ChildConfig>(
  call: CheckCall<Config>,
  { checkKind, findMaster }: OwnChecks<Config>,
): Promise<void> {
  const { config, ifName, ipam, prevResult } = call;
  await ipam.check();
  const pod = openPod(call.netns);
  const found = findPodInterface(prevResult, ifName, pod);
  const link = checkLink(pod, found);
  checkKind(link, config);
  checkMtu(link, config.mtu, found);
  if (config.isMasterNamed) {
    const master = findMaster(placeOf(config.isMasterInPod, call.host, pod), config);
    if (!standsOn(link, master)) throw mismatch(`container ${link.kind} ${link.name} is not on master ${master.name}`);
  }
  checkAddressing(pod, link, prevResult, found.index);
  await checkEarlySysctls(call, pod);
}

/**
 * DEL: the link first, since an address that is free again must not be answered for any more. Needs neither config, master nor namespace.
 */
export async function deleteChild({ netns, ifName, ipam }: DelCall<unknown>): Promise<void> {
  removeLink(netns, ifName);
  await ipam.del();
}

/**
 * STATUS of a kind that kernels may lack: `data` is any link of it. A config without a master may be one in a chain that makes it: then
 * nothing can be said of that here.
 */
export async function childStatus({ config, host, ipam }: StatusCall<ChildConfig>, data: LinkData): Promise<void> {
  await ipam.status();
  const { requireKind } = await import("./kernel-kind.ts");
  requireKind(host, data);
  if (config.isMasterNamed && !config.isMasterInPod) requireMaster(host, config.master);
}

/** GC: links die with their pods, only addresses can be left over. */
export async function collectChild({ ipam, valid }: GcCall<unknown>): Promise<void> {
  await ipam.gc(valid);
}
