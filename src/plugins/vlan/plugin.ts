import { CniError } from "../../cni/error.ts";
import type { Ipam } from "../../cni/ipam.ts";
import type { AddCall, Plugin } from "../../cni/plugin.ts";
import type { Result } from "../../cni/result.ts";
import type { Link } from "../../rtnl/link.ts";
import type { UndoScope } from "../../undo/undo.ts";
import { mismatch } from "../common/check.ts";
import { checkChild, childStatus, collectChild, deleteChild } from "../common/child-plugin.ts";
import { completeLink } from "../common/complete-link.ts";
import { earlySysctls } from "../common/early-sysctls.ts";
import { findMaster, placeOf, validateMtu } from "../common/master.ts";
import { openPod } from "../common/pod-netns.ts";
import { parseConfig, type VlanConfig } from "./config.ts";
import { createVlan, upCures } from "./create.ts";

/** One VLAN (802.1Q) of a device of the node or of the pod, in the pod: there can be one for each device and id in all. */
export const plugin: Plugin<VlanConfig> = {
  name: "vlan",
  ownsLink: true,
  parse: parseConfig,
  add,
  del: deleteChild,
  check: (call) => checkChild(call, { checkKind, findMaster: (place, { master }) => findMaster(place, master) }),
  status: (call) => childStatus(call, { kind: "vlan", id: call.config.id }),
  gc: collectChild,
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

function checkKind(link: Link, { id }: VlanConfig): void {
  if (link.data?.kind !== "vlan") {
    throw mismatch(
      `Error: Container interface ${link.name} not of type vlan, it is ${link.kind || "a device of its own"}`,
    );
  }
  if (link.data.id !== id) throw mismatch(`container vlan id ${link.data.id} does not match expected value: ${id}`);
}
