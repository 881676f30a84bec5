import { type JsonObject, type JsonValue, isJsonObject, parseIfJson } from "../../json/value.ts";
import { stringify } from "../../json/stringify.ts";
import * as file from "../../libc/file.ts";
import type { LinkSettings } from "./link-settings.ts";

/** Whose backup it is. */
export interface Owner {
  readonly network: string;
  readonly containerId: string;
  readonly ifName: string;
}

/** What a sysctl said before, and what it was set to. */
export interface SysctlBackup {
  /** Undefined for one that can't be read. */
  readonly was: string | undefined;
  readonly set: string;
}

/** What was there before tuning. */
export interface Backup {
  /** Only of what was changed. */
  readonly before: LinkSettings;
  /** What it was changed to; undefined in a file of upstream's. */
  readonly set: LinkSettings | undefined;
  /** The MTU of the other end of a veth pair. */
  readonly peerMtu: number | undefined;
  /** By path below /proc/sys. */
  readonly sysctls: Readonly<Record<string, SysctlBackup>>;
  /** Undefined in a file of upstream's. */
  readonly owner: Owner | undefined;
}

const extension = ".json";

/** The file of an attachment, named as upstream names it. */
export function backupName({ containerId, ifName }: Pick<Owner, "containerId" | "ifName">): string {
  return `${containerId}_${ifName}${extension}`;
}

/**
 * Writes a backup: upstream's members, so that it can restore what ours has changed, and all that is more under "polynic". Whole or not
 * at all, whenever this process ends. Throws `SystemError`.
 */
export function writeBackup(
  dataDir: string,
  { before, set, peerMtu, sysctls, owner }: Backup & { readonly owner: Owner },
): void {
  const { network, containerId, ifName } = owner;
  const polynic = { network, containerID: containerId, ifname: ifName, set, peerMtu, sysctl: sysctls };
  const { mac, promisc, mtu, allmulti, txQLen } = before;
  writeText(dataDir, owner, stringify({ mac, promisc, mtu, allmulti, txQLen, polynic }, { indent: 1 }));
}

/** The text of a backup; undefined when there is none. */
export function readBackupText(dataDir: string, owner: Pick<Owner, "containerId" | "ifName">): string | undefined {
  return file.readTextIfExists(`${dataDir}/${backupName(owner)}`);
}

/** Puts a text back that was there, or takes the file away that was not. */
export function restoreBackupText(dataDir: string, owner: Owner, text: string | undefined): void {
  if (text === undefined) removeBackup(dataDir, owner);
  else writeText(dataDir, owner, text);
}

/** Removes a backup, and what a kill in the middle of writing it has left. */
export function removeBackup(dataDir: string, owner: Pick<Owner, "containerId" | "ifName">): void {
  const path = `${dataDir}/${backupName(owner)}`;
  file.unlinkIfExists(file.temporaryOf(path));
  file.unlinkIfExists(path);
}

function writeText(dataDir: string, owner: Owner, text: string): void {
  const path = `${dataDir}/${backupName(owner)}`;
  file.replaceFile(path, text, 0o600, file.temporaryOf(path));
}

/** The backups in the folder; those that can't be read are left out. */
export function listBackups(dataDir: string): Backup[] {
  const backups: Backup[] = [];
  for (const { name, kind } of file.readDirectoryIfExists(dataDir)) {
    if (kind !== "file" || !name.endsWith(extension) || name.startsWith(".")) continue;
    const backup = parseBackup(file.readTextIfExists(`${dataDir}/${name}`) ?? "");
    // A file that was copied to another name says nothing about that.
    if (backup?.owner !== undefined && backupName(backup.owner) === name) backups.push(backup);
  }
  return backups;
}

/** Removes what kills in the middle of writing have left: no call takes that long. */
export function removeAbandoned(dataDir: string): void {
  const longestCallMs = 600_000;
  for (const { name } of file.readDirectoryIfExists(dataDir)) {
    if (!name.startsWith(".") || !name.endsWith(`${extension}.tmp`)) continue;
    const path = `${dataDir}/${name}`;
    const modifiedMs = file.statusIfExists(path)?.modifiedMs;
    if (modifiedMs !== undefined && Date.now() - modifiedMs > longestCallMs) file.unlinkIfExists(path);
  }
}

/** The backups of the container's other interfaces. */
export function othersOf(dataDir: string, { containerId, ifName }: Pick<Owner, "containerId" | "ifName">): Backup[] {
  const others: Backup[] = [];
  for (const backup of listBackups(dataDir)) {
    if (backup.owner?.containerId === containerId && backup.owner.ifName !== ifName) others.push(backup);
  }
  return others;
}

/** Reads a backup of ours or of upstream's; members of the wrong type count as missing. Undefined for what is no JSON object. */
export function parseBackup(text: string): Backup | undefined {
  const value = parseIfJson(text);
  if (!isJsonObject(value)) return undefined;
  const { polynic } = value;
  if (!isJsonObject(polynic)) {
    return { before: settingsIn(value), set: undefined, peerMtu: undefined, sysctls: {}, owner: undefined };
  }
  return {
    before: settingsIn(value),
    set: settingsIn(isJsonObject(polynic["set"]) ? polynic["set"] : {}),
    peerMtu: numberIn(polynic["peerMtu"]),
    sysctls: sysctlsIn(polynic["sysctl"]),
    owner: ownerIn(polynic),
  };
}

function settingsIn({ mac, promisc, mtu, allmulti, txQLen }: JsonObject): LinkSettings {
  return {
    mac: textIn(mac) === "" ? undefined : textIn(mac),
    promisc: flagIn(promisc),
    // What upstream leaves out is 0 to it.
    mtu: numberIn(mtu) === 0 ? undefined : numberIn(mtu),
    allmulti: flagIn(allmulti),
    txQLen: numberIn(txQLen),
  };
}

function sysctlsIn(value: JsonValue | undefined): Record<string, SysctlBackup> {
  const sysctls: Record<string, SysctlBackup> = {};
  if (!isJsonObject(value)) return sysctls;
  for (const path of Object.keys(value)) {
    const entry = value[path];
    const set = isJsonObject(entry) ? textIn(entry["set"]) : undefined;
    // Whoever can write here is root; a torn or copied file still must not lead out of the pod's own sysctls.
    if (!path.startsWith("net/") || path.includes("/../")) continue;
    if (isJsonObject(entry) && set !== undefined) sysctls[path] = { was: textIn(entry["was"]), set };
  }
  return sysctls;
}

function ownerIn({ network, containerID, ifname }: JsonObject): Owner | undefined {
  const [net, containerId, ifName] = [textIn(network), textIn(containerID), textIn(ifname)];
  return net === undefined || containerId === undefined || ifName === undefined
    ? undefined
    : { network: net, containerId, ifName };
}

function textIn(value: JsonValue | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function numberIn(value: JsonValue | undefined): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function flagIn(value: JsonValue | undefined): boolean | undefined {
  return typeof value === "boolean" ? value : undefined;
}
