import type { AddCall, CheckCall, DelCall, GcCall, Plugin, StatusCall } from "../../cni/plugin.ts";
import type { Result } from "../../cni/result.ts";
import { CniError, code } from "../../cni/error.ts";
import { formatMac } from "../../ip/mac.ts";
import type { Netns } from "../../netns/netns.ts";
import type { Link } from "../../rtnl/link.ts";
import { checkAddressing, checkLink, findPodInterface } from "../common/check.ts";
import { bringUp, configureInterface } from "../common/configure.ts";
import { chooseDns } from "../common/dns.ts";
import { findMaster, type MasterPlace, validateMtu } from "../common/master.ts";
import { openPod } from "../common/pod-netns.ts";
import { deleteIfExists, removeLink } from "../common/remove-link.ts";
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
  const { config, ifName, ipam, undo, log } = call;
  const pod = openPod(call.netns);
  const place = placeOf(config, call.host, pod);
  const master = findMaster(place, config.master);
  validateMtu(config.mtu, master);
  if (!master.up) log.error(`master ${master.name} of ${ifName} is down: nothing gets through until it is up`);
  const link = createMacvlan(place, master, pod, ifName, config, undo);
  if (config.mac !== undefined && !link.mac.every((byte, at) => byte === config.mac?.[at])) {
    log.error(`${ifName} has MAC ${formatMac(link.mac)}, not the one asked for: in mode passthru it is the master's`);
  }
  const interfaces = [{ name: ifName, mac: formatMac(link.mac), mtu: link.mtu, sandbox: pod.path }];
  const cures = () => upCures(link, master);
  if (ipam.type === "") {
    bringUp(pod, link, cures);
    return { interfaces, ips: [], routes: [], dns: config.dns ?? {} };
  }
  const given = await ipam.add(undo);
  // Once more, so that a failure from here on takes the link away before its addresses are given back.
  undo.push(`link ${ifName}`, () => deleteIfExists(pod, ifName));
  if (given.ips.length === 0) throw new CniError(code.internal, "IPAM plugin returned missing IP config");
  const ips = given.ips.map((ip) => ({ ...ip, interface: 0 }));
  const result = { interfaces, ips, routes: given.routes, dns: chooseDns(config.dns, given.dns) };
  configureInterface(pod, link, result, 0, {
    log,
    undo,
    announce: true,
    detectDuplicates: config.detectDuplicates,
    upCures: cures,
  });
  return result;
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
  if (config.isMasterNamed) checkMaster(link, findMaster(placeOf(config, call.host, pod), config.master), config);
  checkAddressing(pod, link, prevResult, found.index);
}

function checkKind(link: Link, { mode, mtu }: MacvlanConfig): void {
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
  if (mtu !== 0 && link.mtu !== mtu) {
    throw new CniError(code.internal, `container macvlan MTU ${link.mtu} does not match expected value: ${mtu}`);
  }
}

function checkMaster(link: Link, master: Link, { mtu }: MacvlanConfig): void {
  validateMtu(mtu, master);
  // The kernel puts a macvlan on a macvlan onto the device below.
  const parent = master.kind === "macvlan" ? master.parent : master.index;
  if (link.parent === parent) return;
  throw new CniError(code.internal, `container macvlan ${link.name} is not on master ${master.name}`);
}

async function status({ config, host, ipam }: StatusCall<MacvlanConfig>): Promise<void> {
  await ipam.status();
  // A master in the pod can't be looked for before there is one.
  if (config.isMasterInPod) return;
  try {
    findMaster({ netns: host, isPod: false }, config.master);
  } catch (error) {
    const { message, details } = CniError.from(error);
    throw new CniError(code.notAvailable, message, details, { cause: error });
  }
}

/** Links die with their pods: only addresses can be left over. */
async function gc({ ipam, valid }: GcCall<MacvlanConfig>): Promise<void> {
  await ipam.gc(valid);
}

function placeOf(config: MacvlanConfig, host: Netns, pod: Netns): MasterPlace {
  return config.isMasterInPod ? { netns: pod, isPod: true } : { netns: host, isPod: false };
}
