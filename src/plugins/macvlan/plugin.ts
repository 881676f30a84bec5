import type { AddCall, Plugin, StatusCall } from "../../cni/plugin.ts";
import type { Result } from "../../cni/result.ts";
import { formatMac } from "../../ip/mac.ts";
import type { Link } from "../../rtnl/link.ts";
import { mismatch } from "../common/check.ts";
import { checkChild, collectChild, deleteChild } from "../common/child-plugin.ts";
import { completeLink } from "../common/complete-link.ts";
import { earlySysctls } from "../common/early-sysctls.ts";
import { findMaster, type MasterPlace, placeOf, requireMaster, validateMtu } from "../common/master.ts";
import { openPod } from "../common/pod-netns.ts";
import { type MacvlanConfig, parseConfig } from "./config.ts";
import { createMacvlan, upCures } from "./create.ts";

/** A macvlan in the pod on a device of the node or of the pod, with its own MAC on the same wire. */
export const plugin: Plugin<MacvlanConfig> = {
  name: "macvlan",
  ownsLink: true,
  parse: parseConfig,
  add,
  del: deleteChild,
  check: (call) => checkChild(call, { checkKind, findMaster: suitableMaster }),
  status,
  gc: collectChild,
};

async function add(call: AddCall<MacvlanConfig>): Promise<Result> {
  const { config, ifName, undo, log } = call;
  const setEarly = await earlySysctls(call);
  const pod = openPod(call.netns);
  const place = placeOf(config.isMasterInPod, call.host, pod);
  const master = findMaster(place, config.master);
  validateMtu(config.mtu, master);
  if (!master.up) log.error(`master ${master.name} of ${ifName} is down: nothing gets through until it is up`);
  const link = await createMacvlan(place, master, pod, ifName, config, undo);
  if (config.mac !== undefined && !link.mac.every((byte, at) => byte === config.mac?.[at])) {
    log.error(`${ifName} has MAC ${formatMac(link.mac)}, not the one asked for: in mode passthru it is the master's`);
  }
  return await completeLink(call, pod, link, {
    dns: config.dns,
    detectDuplicates: config.detectDuplicates,
    setEarly,
    upCures: () => upCures(link, master),
  });
}

function checkKind(link: Link, { mode }: MacvlanConfig): void {
  if (link.data?.kind !== "macvlan") {
    throw mismatch(
      `error: Container interface ${link.name} not of type macvlan, it is ${link.kind || "a device of its own"}`,
    );
  }
  if (link.data.mode !== mode) {
    throw mismatch(`container macvlan mode ${link.data.mode} does not match expected value: ${mode}`);
  }
}

/** Upstream's CHECK minds the MTU too. */
function suitableMaster(place: MasterPlace, { master: name, mtu }: MacvlanConfig): Link {
  const master = findMaster(place, name);
  validateMtu(mtu, master);
  return master;
}

async function status({ config, host, ipam }: StatusCall<MacvlanConfig>): Promise<void> {
  await ipam.status();
  // A master in the pod can't be looked for before there is one.
  if (!config.isMasterInPod) requireMaster(host, config.master);
}
