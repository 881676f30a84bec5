import { CniError, code } from "../../cni/error.ts";
import type { AddCall, CheckCall, DelCall, GcCall, Plugin, StatusCall } from "../../cni/plugin.ts";
import type { Result } from "../../cni/result.ts";
import type { Netns } from "../../netns/netns.ts";
import type { Link } from "../../rtnl/link.ts";
import { checkAddressing, checkLink, checkMtu, findPodInterface } from "../common/check.ts";
import { standsOn } from "../common/child-link.ts";
import { type CompleteOptions, completeLink, configureLink, leaseAddresses } from "../common/complete-link.ts";
import { checkEarlySysctls, earlySysctls } from "../common/early-sysctls.ts";
import { errnoOf } from "../common/explain.ts";
import { findMaster, type MasterPlace, placeOf, requireMaster, validateMtu } from "../common/master.ts";
import { openPod } from "../common/pod-netns.ts";
import { removeLink } from "../common/remove-link.ts";
import { type IpvlanConfig, parseConfig } from "./config.ts";
import { createIpvlan } from "./create.ts";

/** An ipvlan in the pod on a device of the node or of the pod: addresses of its own behind the master's MAC. */
export const plugin: Plugin<IpvlanConfig> = {
  name: "ipvlan",
  ownsLink: true,
  parse: parseConfig,
  add,
  del,
  check,
  status,
  gc,
};

async function add(call: AddCall<IpvlanConfig>): Promise<Result> {
  const { config, ifName, undo, log, ipam } = call;
  const setEarly = await earlySysctls(call);
  const pod = openPod(call.netns);
  const place = placeOf(config.isMasterInPod, call.host, pod);
  const master = masterOf(place, config);
  validateMtu(config.mtu, master);
  if (!master.up) log.error(`master ${master.name} of ${ifName} is down: nothing gets through until it is up`);
  if (config.requestedMac !== undefined) {
    log.error(`${ifName} has the MAC of ${master.name}, as every ipvlan has, not ${config.requestedMac}`);
  }
  const link = await createIpvlan(place, master, pod, ifName, config, undo, log);
  const options = { dns: config.dns, detectDuplicates: config.detectDuplicates, setEarly };
  if (config.inherited === undefined && ipam.type === "") return await completeLink(call, pod, link, options);
  const given = config.inherited ?? (await leaseAddresses(call, pod));
  return await configure(call, { pod, place, master, link }, given, options);
}

interface Made {
  readonly pod: Netns;
  readonly place: MasterPlace;
  readonly master: Link;
  readonly link: Link;
}

async function configure(
  call: AddCall<IpvlanConfig>,
  { pod, place, master, link }: Made,
  given: Result,
  options: CompleteOptions,
): Promise<Result> {
  try {
    return configureLink(call, pod, link, given, options);
  } catch (error) {
    // All ipvlans of a master share one table of addresses.
    if (!(error instanceof CniError) || errnoOf(error.cause) !== "EADDRINUSE") throw error;
    const { explainTakenAddress } = await import("./refusal.ts");
    throw explainTakenAddress(error, place, master, given.ips);
  }
}

/** Upstream's words first. */
function masterOf(place: MasterPlace, { master }: IpvlanConfig): Link {
  try {
    return findMaster(place, master);
  } catch (error) {
    if (master === "") throw error;
    throw CniError.from(error).within(`failed to lookup master ${JSON.stringify(master)}: `);
  }
}

/** The link first: an address that is free again must not be answered for any more. Needs neither config, master nor namespace. */
async function del({ netns, ifName, ipam }: DelCall<IpvlanConfig>): Promise<void> {
  removeLink(netns, ifName);
  await ipam.del();
}

async function check(call: CheckCall<IpvlanConfig>): Promise<void> {
  const { config, ifName, ipam, prevResult } = call;
  await ipam.check();
  const pod = openPod(call.netns);
  const found = findPodInterface(prevResult, ifName, pod);
  const link = checkLink(pod, found);
  checkKind(link, config);
  checkMtu(link, config.mtu, found);
  if (config.isMasterNamed) {
    const master = masterOf(placeOf(config.isMasterInPod, call.host, pod), config);
    if (!standsOn(link, master)) throw mismatch(`container ipvlan ${link.name} is not on master ${master.name}`);
  }
  checkAddressing(pod, link, prevResult, found.index);
  await checkEarlySysctls(call, pod);
}

function checkKind(link: Link, { mode, flag }: IpvlanConfig): void {
  if (link.data?.kind !== "ipvlan") {
    throw mismatch(
      `Error: Container interface ${link.name} not of type ipvlan, it is ${link.kind || "a device of its own"}`,
    );
  }
  const shared = "all ipvlans of a master share it, and the last one that was made has set it";
  if (link.data.mode !== mode) {
    throw mismatch(`Container IPVlan mode ${link.data.mode} does not match expected value: ${mode}; ${shared}`);
  }
  // Kernels before 4.15 have no flags.
  if (link.data.flag !== undefined && link.data.flag !== flag) {
    throw mismatch(`Container IPVlan flag ${link.data.flag} does not match expected value: ${flag}; ${shared}`);
  }
}

/** A config without a master may be one in a chain that makes it: then nothing can be said of it here. */
async function status({ config, host, ipam }: StatusCall<IpvlanConfig>): Promise<void> {
  await ipam.status();
  const { requireKind } = await import("../common/kernel-kind.ts");
  requireKind(host, { kind: "ipvlan" });
  if (config.isMasterNamed && !config.isMasterInPod) requireMaster(host, config.master);
}

/** Links die with their pods: only addresses can be left over. */
async function gc({ ipam, valid }: GcCall<IpvlanConfig>): Promise<void> {
  await ipam.gc(valid);
}

function mismatch(message: string): CniError {
  return new CniError(code.internal, message);
}
