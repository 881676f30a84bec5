import { CniError } from "../../cni/error.ts";
import type { AddCall, Plugin } from "../../cni/plugin.ts";
import type { Result } from "../../cni/result.ts";
import type { Netns } from "../../netns/netns.ts";
import type { Link } from "../../rtnl/link.ts";
import { mismatch } from "../common/check.ts";
import { checkChild, childStatus, collectChild, deleteChild } from "../common/child-plugin.ts";
import { type CompleteOptions, completeLink, configureLink, leaseAddresses } from "../common/complete-link.ts";
import { earlySysctls } from "../common/early-sysctls.ts";
import { errnoOf } from "../common/explain.ts";
import { findMaster, type MasterPlace, placeOf, validateMtu } from "../common/master.ts";
import { openPod } from "../common/pod-netns.ts";
import { type IpvlanConfig, parseConfig } from "./config.ts";
import { createIpvlan } from "./create.ts";

/** An ipvlan in the pod on a device of the node or of the pod: addresses of its own behind the master's MAC. */
export const plugin: Plugin<IpvlanConfig> = {
  name: "ipvlan",
  ownsLink: true,
  parse: parseConfig,
  add,
  del: deleteChild,
  check: (call) => checkChild(call, { checkKind, findMaster: masterOf }),
  status: (call) => childStatus(call, { kind: "ipvlan" }),
  gc: collectChild,
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
