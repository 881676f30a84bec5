import { isOfInterface, isSameValue, type Sysctl, type SysctlState } from "../common/sysctls.ts";
import type { Backup, Owner, SysctlBackup } from "./backup.ts";
import { type LinkSettings, settingNames } from "./link-settings.ts";

/** What is there, and what is to be. */
export interface Change {
  readonly owner: Owner;
  /** What the interface has now; nothing when there is nothing to set of it. */
  readonly now: LinkSettings;
  readonly wanted: LinkSettings;
  /** The MTU that the other end of a veth pair has now; undefined when that is not to be set. */
  readonly peerMtu: number | undefined;
  readonly sysctls: readonly Sysctl[];
  /** What sysctls say now: the wanted ones, and those of `previous` that still are there. */
  readonly states: readonly SysctlState[];
}

/**
 * The backup to have on file while `change` is carried out. What `previous` (the file that is there already: of another tuning in the same
 * chain, of an ADD that was not followed by DEL, or of upstream's) says was there before stays, as long as the tuned value is still
 * there; otherwise it speaks of another interface, and what is there now counts. What `others` (backups of the container's other
 * interfaces) say of a sysctl that is the whole namespace's stays too: what is there now was tuned.
 */
export function remember(
  previous: Backup | undefined,
  change: Change,
  others: readonly Backup[],
): Backup & { owner: Owner } {
  const { owner, now, wanted } = change;
  const before: { -readonly [Name in keyof LinkSettings]: unknown } = {};
  const set: { -readonly [Name in keyof LinkSettings]: unknown } = {};
  for (const name of settingNames) {
    const isHeld =
      previous?.before[name] !== undefined &&
      (previous.set === undefined || now[name] === undefined || previous.set[name] === now[name]);
    if (!isHeld && wanted[name] === undefined) continue;
    before[name] = isHeld ? previous.before[name] : now[name];
    set[name] = wanted[name] ?? previous?.set?.[name] ?? now[name];
  }
  return {
    before: before as LinkSettings,
    set: set as LinkSettings,
    peerMtu: rememberPeer(previous, change),
    sysctls: rememberSysctls(previous, change, others),
    owner,
  };
}

function rememberPeer(previous: Backup | undefined, { peerMtu }: Change): number | undefined {
  const isHeld = previous?.peerMtu !== undefined && (peerMtu === undefined || previous.set?.mtu === peerMtu);
  return isHeld ? previous.peerMtu : peerMtu;
}

function rememberSysctls(
  previous: Backup | undefined,
  { owner, sysctls, states }: Change,
  others: readonly Backup[],
): Record<string, SysctlBackup> {
  const kept: Record<string, SysctlBackup> = {};
  for (const { path, value } of states) {
    const earlier = previous?.sysctls[path];
    const wanted = sysctls.find((sysctl) => sysctl.path === path);
    const isHeld = earlier !== undefined && value !== undefined && isSameValue(earlier.set, value);
    if (wanted === undefined && !isHeld) continue;
    const was = isHeld ? earlier.was : (holderOf(path, owner, others)?.was ?? value);
    kept[path] = { was, set: wanted?.value ?? earlier?.set ?? "" };
  }
  return kept;
}

/** What another interface of the container has on file of a sysctl that is the namespace's; the last one where several have. */
export function holderOf(
  path: string,
  { ifName }: Pick<Owner, "ifName">,
  others: readonly Backup[],
): SysctlBackup | undefined {
  if (isOfInterface(path, ifName)) return undefined;
  return others.findLast(({ sysctls }) => sysctls[path] !== undefined)?.sysctls[path];
}
