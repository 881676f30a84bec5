import type { Environment } from "../cni/environment.ts";
import { hourOf, marksFolder } from "../cni/settled-mark.ts";
import { asVersion } from "../cni/version.ts";
import { addressOf, openSystemCall } from "../libc/system-call.ts";
import { SYS_exit_group, SYS_faccessat, SYS_read } from "../libc/system-calls.ts";
import { defaultCniDir, journalPath, lockPath } from "./paths.ts";

const AT_FDCWD = -100;
/** More than nearly any config has. */
const inputBytesMax = 16 * 1024;
/** What container ids, network names and nearly all interface names are made of (names.ts). */
const plainName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const interfaceNameMax = 15;

/** Files that show that a DEL has nothing to do: the first is there, and then none of the others is. */
export interface SettledFiles {
  readonly mark: string;
  readonly absent: readonly string[];
}

/**
 * Ends this process, a DEL of the dispatcher with that environment, with success when nothing of its container is attached, for certain: an
 * earlier DEL has noted so. Otherwise comes back with what it has read of standard input, all of it or the beginning; undefined when it has
 * read nothing.
 *
 * Runtimes call DEL two to four times for each pod, and this is what all but the first need, an agent or none. So it has nothing of what a
 * call needs: no lock, no log, no chunk of the program but the entry's. Without the lock it is right nonetheless: at the moment when the mark was seen
 * nothing was attached, since an ADD removes it first.
 */
export function endIfSettled(environment: Environment): Uint8Array | undefined {
  const syscall = openSystemCall();
  if (syscall === undefined) return undefined;
  const exists = (path: string): boolean => {
    const name = new TextEncoder().encode(`${path}\0`);
    return syscall(SYS_faccessat, AT_FDCWD, addressOf(name), 0, 0, 0) === 0;
  };
  const { CNI_NETNS: netns = "" } = environment;
  // Of a pod whose first DEL this is; or it may be the namespace that this process is in, which is the call's to judge.
  if (netns !== "" && exists(netns)) return undefined;
  const input = new Uint8Array(inputBytesMax);
  const start = addressOf(input);
  let length = 0;
  let count;
  do {
    count = syscall(SYS_read, 0, start + length, inputBytesMax - length, 0, 0);
    if (count > 0) length += count;
  } while (count > 0);
  const begun = input.subarray(0, length);
  // A failure is told, and a longer config read, by whoever does the call.
  if (count < 0 || length === inputBytesMax) return begun;
  const text = new TextDecoder().decode(begun);
  // In any other letters the names of members can be spelled in several ways.
  const files = text.length === length ? settledFiles(text, environment, Date.now()) : undefined;
  if (files === undefined || !exists(files.mark)) return begun;
  for (const path of files.absent) if (exists(path)) return begun;
  syscall(SYS_exit_group, 0, 0, 0, 0, 0);
  return begun;
}

/**
 * The files to look at for a DEL with this config, in ASCII, and environment, at `now` (ms since 1970); undefined for all that is not
 * plainly in order, which the call itself has to judge. Only the mark of this hour counts: the call itself renews an older one. A journal
 * can stand beside a mark where Multus wrote it, and a lock where a call was killed, which may have left a plugin running.
 */
export function settledFiles(text: string, environment: Environment, now: number): SettledFiles | undefined {
  const { CNI_CONTAINERID: id = "", CNI_IFNAME: ifName = "", CNI_PATH: path = "" } = environment;
  if (!plainName.test(id) || !plainName.test(ifName) || ifName.length > interfaceNameMax || path === "")
    return undefined;
  const config = parseObject(text);
  if (config === undefined) return undefined;
  const given = member(config, "cniDir");
  const name = member(config, "name");
  const version = member(config, "cniVersion");
  if (given === undefined || name === undefined || !plainName.test(name)) return undefined;
  if (version === undefined || asVersion(version) === undefined) return undefined;
  const cniDir = given || defaultCniDir;
  return {
    mark: `${marksFolder(cniDir, hourOf(now))}/${id}`,
    absent: [journalPath(cniDir, id), lockPath(cniDir, id)],
  };
}

/** Undefined for anything but an object, and for one with escapes: they can spell the name of a member. */
function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  if (text.includes("\\")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}

/** A string among the members, "" when it is missing; undefined when it is something else, or its name is spelled in other letters. */
function member(config: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const folded = name.toLowerCase();
  for (const each in config) if (each !== name && each.toLowerCase() === folded) return undefined;
  const value = config[name] ?? "";
  return typeof value === "string" ? value : undefined;
}
