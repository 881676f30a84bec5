import { CniError, code } from "../../cni/error.ts";
import type { AddCall } from "../../cni/plugin.ts";
import type { Result, ResultInterface } from "../../cni/result.ts";
import type { Netns } from "../../netns/netns.ts";
import { isErrno } from "../../libc/errno.ts";
import { getLink, type Link } from "../../rtnl/link.ts";
import { openPod } from "../common/pod-netns.ts";
import { explained } from "../common/explain.ts";
import { requireAllowed } from "../common/sysctl-allowlist.ts";
import {
  isOfInterface,
  readSysctls,
  resolveSysctls,
  setSysctls,
  type Sysctl,
  type SysctlState,
} from "../common/sysctls.ts";
import {
  type Backup,
  othersOf,
  type Owner,
  parseBackup,
  readBackupText,
  restoreBackupText,
  writeBackup,
} from "./backup.ts";
import type { TuningConfig } from "./config.ts";
import { inDataDir, makeDataDir, withDataDirLock } from "./data-dir.ts";
import { applySettings, hasSettings, type LinkSettings, settingsOf } from "./link-settings.ts";
import { findPeer } from "./peer.ts";
import { remember } from "./remember.ts";

/**
 * ADD: sysctls and settings of the interface that a plugin before has made. What was there is on file before anything is changed. A failure puts
 * everything back, the file too. The result tells the new MAC and MTU.
 */
export function add(call: AddCall<TuningConfig>): Result {
  const { conf, config, ifName } = call;
  const { prevResult } = conf;
  if (prevResult === undefined) {
    throw new CniError(
      code.invalidConfig,
      "Required prevResult missing",
      "tuning stands behind the plugin of an interface",
    );
  }
  requireAllowed(Object.keys(config.sysctls), config.requiresAllowlist);
  const sysctls = resolveSysctls(config.sysctls, ifName);
  const pod = openPod(call.netns);
  if (sysctls.length === 0 && !hasSettings(config.settings)) return prevResult;
  const link = hasSettings(config.settings) ? findLink(pod, ifName) : undefined;
  const work = () => tune(call, pod, link, sysctls, prevResult);
  if (sysctls.every(({ path }) => isOfInterface(path, ifName))) work();
  else withDataDirLock(config.dataDir, work);
  return { ...prevResult, interfaces: prevResult.interfaces.map((each) => told(each, ifName, config.settings)) };
}

function tune(
  call: AddCall<TuningConfig>,
  pod: Netns,
  link: Link | undefined,
  sysctls: readonly Sysctl[],
  prevResult: Result,
): void {
  const { config, host, undo, log } = call;
  const { dataDir, settings: wanted } = config;
  const owner: Owner = { network: call.conf.name, containerId: call.containerId, ifName: call.ifName };
  const earlierText = inDataDir(dataDir, () => readBackupText(dataDir, owner));
  const previous = earlierText === undefined ? undefined : parseBackup(earlierText);
  const states = readStates(pod, sysctls, previous);
  const peer = wanted.mtu === undefined || link === undefined ? undefined : findPeer(host, link, prevResult);
  const now = link === undefined ? {} : settingsOf(link);
  const change = { owner, now, wanted, peerMtu: peer?.mtu, sysctls, states };
  const backup = remember(
    previous,
    change,
    inDataDir(dataDir, () => othersOf(dataDir, owner)),
  );
  undo.push("backup", () => restoreBackupText(dataDir, owner, earlierText));
  inDataDir(dataDir, () => {
    makeDataDir(dataDir);
    writeBackup(dataDir, backup);
  });
  applySysctls(call, pod, sysctls, states);
  if (link === undefined) return;
  undo.push(`settings of ${link.name}`, () => reject(applySettings(pod, link, only(now, wanted))));
  reject(applySettings(pod, link, wanted));
  if (peer !== undefined) {
    undo.push(`MTU of ${peer.name}`, () => reject(applySettings(host, peer, { mtu: peer.mtu })));
    reject(applySettings(host, peer, { mtu: wanted.mtu }));
  }
  const leastOfIpv6 = 1280;
  if (
    wanted.mtu !== undefined &&
    wanted.mtu < leastOfIpv6 &&
    prevResult.ips.some(({ address }) => address.ip.family === 6)
  ) {
    log.error(
      `${link.name} has lost its IPv6 addresses: with an MTU of ${wanted.mtu}, less than ${leastOfIpv6}, there is no IPv6`,
    );
  }
}

/** Sysctls in the order of the config. */
function applySysctls(
  { undo }: AddCall<TuningConfig>,
  pod: Netns,
  sysctls: readonly Sysctl[],
  states: readonly SysctlState[],
): void {
  if (sysctls.length === 0) return;
  undo.push("sysctls", () => {
    for (const { path } of sysctls.toReversed()) {
      const value = states.find((state) => state.path === path)?.value;
      if (value !== undefined) setSysctls(pod, [{ path, value }]);
    }
  });
  setSysctls(pod, sysctls);
}

/** The wanted ones have to be there; of an earlier backup those that still are. */
function readStates(pod: Netns, sysctls: readonly Sysctl[], previous: Backup | undefined): SysctlState[] {
  const states = readSysctls(
    pod,
    sysctls.map(({ path }) => path),
  );
  for (const path of Object.keys(previous?.sysctls ?? {})) {
    if (states.some((state) => state.path === path)) continue;
    try {
      states.push(...readSysctls(pod, [path]));
    } catch (error) {
      if (!(error instanceof CniError && isErrno(error.cause, "ENOENT"))) throw error;
    }
  }
  return states;
}

function findLink(pod: Netns, ifName: string): Link {
  const link = explained(`failed to look up "${ifName}"`, () => getLink(pod.rtnl, ifName));
  if (link !== undefined) return link;
  throw new CniError(code.internal, `failed to get "${ifName}": Link not found in pod ${pod.path}`);
}

/** The first refusal is thrown. */
function reject([first]: readonly CniError[]): void {
  if (first !== undefined) throw first;
}

/** Of `settings` those that `names` has. */
function only(settings: LinkSettings, names: LinkSettings): LinkSettings {
  return {
    mac: names.mac === undefined ? undefined : settings.mac,
    promisc: names.promisc === undefined ? undefined : settings.promisc,
    mtu: names.mtu === undefined ? undefined : settings.mtu,
    allmulti: names.allmulti === undefined ? undefined : settings.allmulti,
    txQLen: names.txQLen === undefined ? undefined : settings.txQLen,
  };
}

function told(entry: ResultInterface, ifName: string, { mac, mtu }: LinkSettings): ResultInterface {
  // An interface of that name may be on the node too.
  if (entry.name !== ifName || (entry.sandbox ?? "") === "") return entry;
  return { ...entry, ...(mac === undefined ? {} : { mac }), ...(mtu === undefined ? {} : { mtu }) };
}
