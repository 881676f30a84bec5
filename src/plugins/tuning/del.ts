import { CniError } from "../../cni/error.ts";
import type { DelCall, GcCall } from "../../cni/plugin.ts";
import { isErrno } from "../../libc/errno.ts";
import type { Netns } from "../../netns/netns.ts";
import { getLink } from "../../rtnl/link.ts";
import { explained } from "../common/explain.ts";
import { isOfInterface, isSameValue, readSysctls, setSysctls } from "../common/sysctls.ts";
import {
  type Backup,
  backupName,
  listBackups,
  othersOf,
  parseBackup,
  readBackupText,
  removeAbandoned,
  removeBackup,
} from "./backup.ts";
import type { TuningConfig } from "./config.ts";
import { defaultDataDir, inDataDir, withDataDirLock } from "./data-dir.ts";
import { applySettings, hasSettings } from "./link-settings.ts";
import { peerOf } from "./peer.ts";
import { holderOf } from "./remember.ts";

/**
 * DEL: what was there before is put back as far as interface and namespace are there; then the backup goes, whatever became of that. What
 * can't be put back is logged: it must not keep the pod. Without a backup nothing was tuned.
 */
export function del(call: DelCall<TuningConfig>): void {
  const dataDir = call.config?.dataDir ?? defaultDataDir;
  const text = inDataDir(dataDir, () => readBackupText(dataDir, call));
  const backup = text === undefined ? undefined : parseBackup(text);
  if (text !== undefined && backup === undefined) {
    call.log.error(`backup ${dataDir}/${backupName(call)} can't be read: nothing is put back`);
  }
  const pod = backup === undefined ? undefined : call.netns.openIfExists();
  const finish = () => {
    if (backup !== undefined && pod !== undefined) restore(call, pod, backup, dataDir);
    inDataDir(dataDir, () => removeBackup(dataDir, call));
  };
  const isShared = Object.keys(backup?.sysctls ?? {}).some((path) => !isOfInterface(path, call.ifName));
  if (isShared) withDataDirLock(dataDir, finish);
  else finish();
}

/** GC: backups of attachments of this network that are no more. Those that upstream's made do not say of which network they are. */
export function gc({ conf, config, valid }: GcCall<TuningConfig>): void {
  const dataDir = config?.dataDir ?? defaultDataDir;
  const keep = new Set(valid.map(backupName));
  inDataDir(dataDir, () => {
    for (const { owner } of listBackups(dataDir)) {
      if (owner?.network === conf.name && !keep.has(backupName(owner))) removeBackup(dataDir, owner);
    }
    removeAbandoned(dataDir);
  });
}

function restore(call: DelCall<TuningConfig>, pod: Netns, backup: Backup, dataDir: string): void {
  const { host, ifName, log } = call;
  const link = explained(`failed to look up "${ifName}"`, () => getLink(pod.rtnl, ifName));
  if (link !== undefined) {
    const peer = backup.peerMtu === undefined ? undefined : peerOf(host, link);
    const refused = hasSettings(backup.before) ? applySettings(pod, link, backup.before) : [];
    if (peer !== undefined) refused.push(...applySettings(host, peer, { mtu: backup.peerMtu }));
    for (const { message } of refused) log.error(`not put back: ${message}`);
  }
  restoreSysctls(call, pod, backup, dataDir, link !== undefined);
}

function restoreSysctls(
  call: DelCall<TuningConfig>,
  pod: Netns,
  backup: Backup,
  dataDir: string,
  hasLink: boolean,
): void {
  const paths = Object.keys(backup.sysctls).reverse();
  if (paths.length === 0) return;
  const others = othersOf(dataDir, call);
  for (const path of paths) {
    const isOwn = isOfInterface(path, call.ifName);
    const entry = backup.sysctls[path];
    if (entry === undefined || (isOwn && !hasLink)) continue;
    const value = holderOf(path, call, others)?.set ?? entry.was;
    try {
      // One that is the namespace's and was changed since is somebody else's.
      if (value !== undefined && (isOwn || isStill(pod, path, entry.set))) setSysctls(pod, [{ path, value }]);
    } catch (error) {
      const failure = CniError.from(error);
      if (!isErrno(failure.cause, "ENOENT")) call.log.error(`not put back: ${failure.message}`);
    }
  }
}

function isStill(pod: Netns, path: string, set: string): boolean {
  const [state] = readSysctls(pod, [path]);
  return state?.value !== undefined && isSameValue(set, state.value);
}
