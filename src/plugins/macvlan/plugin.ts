import type { AddCall, CheckCall, DelCall, GcCall, Plugin, StatusCall } from "../../cni/plugin.ts";
import type { Result } from "../../cni/result.ts";
import { CniError, code } from "../../cni/error.ts";
import { formatMac } from "../../ip/mac.ts";
import type { Link } from "../../rtnl/link.ts";
import { checkAddressing, checkLink, checkMtu, findPodInterface } from "../common/check.ts";
import { standsOn } from "../common/child-link.ts";
import { completeLink } from "../common/complete-link.ts";
import { checkEarlySysctls, earlySysctls } from "../common/early-sysctls.ts";
import { findMaster, placeOf, requireMaster, validateMtu } from "../common/master.ts";
import { openPod } from "../common/pod-netns.ts";
import { removeLink } from "../common/remove-link.ts";
import { type MacvlanConfig, parseConfig } from "./config.ts";
import { createMacvlan, upCures } from "./create.ts";

/** A macvlan in the pod on a device of the node or of the pod, with its own MAC on the same wire. */
export const plugin: Plugin<MacvlanConfig> = {
  name: "macvlan",
  ownsLink: true,
  parse: parseConfig,
  add,
  del,
  check,
  status,
  gc,
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

/** The link first: an address that is free again must not be answered for any more. Needs neither config, master nor namespace. */
async function del({ netns, ifName, ipam }: DelCall<MacvlanConfig>): Promise<void> {
  removeLink(netns, ifName);
  await ipam.del();
}

async function check(call: CheckCall<MacvlanConfig>): Promise<void> {
  const { config, ifName, ipam, prevResult } = call;
  await ipam.check();
  const pod = openPod(call.netns);
  const found = findPodInterface(prevResult, ifName, pod);
  const link = checkLink(pod, found);
  checkKind(link, config);
  checkMtu(link, config.mtu, found);
  if (config.isMasterNamed)
    checkMaster(link, findMaster(placeOf(config.isMasterInPod, call.host, pod), config.master), config);
  checkAddressing(pod, link, prevResult, found.index);
  await checkEarlySysctls(call, pod);
}

function checkKind(link: Link, { mode }: MacvlanConfig): void {
  if (link.data?.kind !== "macvlan") {
    throw new CniError(
      code.internal,
      `error: Container interface ${link.name} not of type macvlan, it is ${link.kind || "a device of its own"}`,
    );
  }
  if (link.data.mode !== mode) {
    throw new CniError(
      code.internal,
      `container macvlan mode ${link.data.mode} does not match expected value: ${mode}`,
    );
  }
}

function checkMaster(link: Link, master: Link, { mtu }: MacvlanConfig): void {
  validateMtu(mtu, master);
  if (standsOn(link, master)) return;
  throw new CniError(code.internal, `container macvlan ${link.name} is not on master ${master.name}`);
}

async function status({ config, host, ipam }: StatusCall<MacvlanConfig>): Promise<void> {
  await ipam.status();
  // A master in the pod can't be looked for before there is one.
  if (!config.isMasterInPod) requireMaster(host, config.master);
}

/** Links die with their pods: only addresses can be left over. */
async function gc({ ipam, valid }: GcCall<MacvlanConfig>): Promise<void> {
  await ipam.gc(valid);
}
