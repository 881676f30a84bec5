import { CniError, code } from "../../cni/error.ts";
import type { Ipam } from "../../cni/ipam.ts";
import type { AddCall, CheckCall, DelCall, GcCall, Plugin, StatusCall } from "../../cni/plugin.ts";
import type { Result } from "../../cni/result.ts";
import type { Link } from "../../rtnl/link.ts";
import type { UndoScope } from "../../undo/undo.ts";
import { checkAddressing, checkLink, checkMtu, findPodInterface } from "../common/check.ts";
import { standsOn } from "../common/child-link.ts";
import { completeLink } from "../common/complete-link.ts";
import { checkEarlySysctls, earlySysctls } from "../common/early-sysctls.ts";
import { findMaster, placeOf, requireMaster, validateMtu } from "../common/master.ts";
import { openPod } from "../common/pod-netns.ts";
import { removeLink } from "../common/remove-link.ts";
import { parseConfig, type VlanConfig } from "./config.ts";
import { createVlan, upCures } from "./create.ts";

/** One VLAN (802.1Q) of a device of the node or of the pod, in the pod: there can be one for each device and id in all. */
export const plugin: Plugin<VlanConfig> = {
  name: "vlan",
  ownsLink: true,
  parse: parseConfig,
  add,
  del,
  check,
  status,
  gc,
};

async function add(call: AddCall<VlanConfig>): Promise<Result> {
  const { config, ifName, undo, log } = call;
  const setEarly = await earlySysctls(call);
  const pod = openPod(call.netns);
  const place = placeOf(config.isMasterInPod, call.host, pod);
  const master = findMaster(place, config.master);
  validateMtu(config.mtu, master);
  if (config.requestedMac !== undefined) {
    log.error(`${ifName} has the MAC of ${master.name}, not ${config.requestedMac}: type vlan gives none`);
  }
  const link = await createVlan(place, master, pod, ifName, config, undo);
  return await completeLink({ ...call, ipam: worded(call.ipam) }, pod, link, {
    dns: config.dns,
    detectDuplicates: config.detectDuplicates,
    setEarly,
    upCures: () => upCures(master),
  });
}

/** The IPAM side with errors that begin as upstream's do; unlike there they keep their code. */
function worded(ipam: Ipam): Ipam {
  return {
    ...ipam,
    add: (undo: UndoScope) =>
      ipam.add(undo).catch((error: unknown) => {
        throw CniError.from(error).within("failed to execute IPAM delegate: ");
      }),
  };
}

/** The link first: an address that is free again must not be answered for any more. Needs neither config, master nor namespace. */
async function del({ netns, ifName, ipam }: DelCall<VlanConfig>): Promise<void> {
  removeLink(netns, ifName);
  await ipam.del();
}

async function check(call: CheckCall<VlanConfig>): Promise<void> {
  const { config, ifName, ipam, prevResult } = call;
  await ipam.check();
  const pod = openPod(call.netns);
  const found = findPodInterface(prevResult, ifName, pod);
  const link = checkLink(pod, found);
  checkKind(link, config);
  checkMtu(link, config.mtu, found);
  if (config.isMasterNamed) {
    const master = findMaster(placeOf(config.isMasterInPod, call.host, pod), config.master);
    if (!standsOn(link, master)) throw mismatch(`container vlan ${link.name} is not on master ${master.name}`);
  }
  checkAddressing(pod, link, prevResult, found.index);
  await checkEarlySysctls(call, pod);
}

function checkKind(link: Link, { id }: VlanConfig): void {
  if (link.data?.kind !== "vlan") {
    throw mismatch(
      `Error: Container interface ${link.name} not of type vlan, it is ${link.kind || "a device of its own"}`,
    );
  }
  if (link.data.id !== id) throw mismatch(`container vlan id ${link.data.id} does not match expected value: ${id}`);
}

/** A config without a master may be one in a chain that makes it: then nothing can be said of it here. */
async function status({ config, host, ipam }: StatusCall<VlanConfig>): Promise<void> {
  await ipam.status();
  const { requireKind } = await import("../common/kernel-kind.ts");
  requireKind(host, { kind: "vlan", id: config.id });
  if (config.isMasterNamed && !config.isMasterInPod) requireMaster(host, config.master);
}

/** Links die with their pods: only addresses can be left over. */
async function gc({ ipam, valid }: GcCall<VlanConfig>): Promise<void> {
  await ipam.gc(valid);
}

function mismatch(message: string): CniError {
  return new CniError(code.internal, message);
}
