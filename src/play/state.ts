import { array, decode, integer, optional, struct, text } from "../json/struct.ts";
import { parse } from "../json/value.ts";
import { stringify } from "../json/stringify.ts";
import type { Fd } from "../libc/fd.ts";
import {
  makeDirectories,
  O_CREAT,
  O_RDWR,
  open,
  readDirectory,
  readTextIfExists,
  replaceFile,
  statusIfExists,
  statusOf,
} from "../libc/file.ts";
import { tryLock } from "../libc/lock.ts";
import { messageOf } from "../words/message.ts";
import { InputError, PlayError } from "./play-error.ts";

/** One pod that was made, with all that its DEL needs. */
export interface PlayedPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly containerId: string;
  /** Path of its pinned network namespace. */
  readonly netns: string;
  /** Number of the play that made it: its config and manifests are kept in a folder of that name. */
  readonly play: number;
}

/** What play has made under one root. */
export interface PlayState {
  /** Path of the node's network namespace; "" for the one that play is started in. */
  readonly node: string;
  readonly pods: readonly PlayedPod[];
}

/** Where things are under a root. */
export const layout = {
  state: (root: string) => `${root}/state.json`,
  lock: (root: string) => `${root}/lock`,
  /** Pins of the pods' namespaces. */
  netns: (root: string) => `${root}/netns`,
  /** Links to this executable, one for each plugin that a config may name. */
  bin: (root: string) => `${root}/bin`,
  /** Leases of the default network. */
  ipam: (root: string) => `${root}/ipam`,
  /** The dispatcher's journals. */
  multus: (root: string) => `${root}/multus`,
  /** What libcni calls its cache: results of what is attached. */
  cache: (root: string) => `${root}/cni`,
  log: (root: string) => `${root}/multus.log`,
  /** Pools of whereabouts, in a folder `whereabouts`: those of all plays, as each finds them beside its manifests. */
  pools: (root: string) => `${root}/.state`,
  play: (root: string, play: number) => `${root}/play-${play}`,
  manifests: (root: string, play: number) => `${root}/play-${play}/manifests`,
  conf: (root: string, play: number) => `${root}/play-${play}/net.json`,
} as const;

const schema = struct({
  node: optional(text(), ""),
  pods: array(
    struct({
      namespace: text(),
      name: text(),
      uid: text(),
      containerId: text(),
      netns: text(),
      play: integer({ min: 1 }),
    }),
  ),
});

/** The state of a root; undefined when play has made nothing there. Throws `PlayError` when the file is damaged. */
export function readPlayState(root: string): PlayState | undefined {
  const content = readTextIfExists(layout.state(root));
  if (content === undefined) return undefined;
  try {
    return decode(schema, parse(content).value);
  } catch (cause) {
    const problem = messageOf(cause);
    throw new PlayError(`${layout.state(root)} is damaged: ${problem}`, { cause });
  }
}

/** Replaces the state of a root in one step; the caller holds the root's lock. */
export function writePlayState(root: string, state: PlayState): void {
  replaceFile(
    layout.state(root),
    `${stringify({ ...state, pods: state.pods.map((pod) => ({ ...pod })) }, { indent: 2 })}\n`,
  );
}

/**
 * Makes the root and locks it until disposed of. Throws `PlayError` when another play works there now, `InputError` for a folder that
 * is somebody else's: its files would be taken for play's own when everything is removed.
 */
export function lockRoot(root: string): Fd {
  makeDirectories(root, 0o700);
  const names = readDirectory(root).map(({ name }) => name);
  if (names.some((name) => name !== "lock") && readPlayState(root) === undefined)
    throw new InputError(
      `--root ${root} holds other files (${names.slice(0, 3).join(", ")}); choose a new or an empty folder`,
    );
  const fd = open(layout.lock(root), O_RDWR | O_CREAT);
  if (isLocked(fd, layout.lock(root))) return fd;
  fd[Symbol.dispose]();
  throw new PlayError(`another polynic play is at work under ${root}; wait for it, or choose another --root`);
}

/** False also for a file that its last holder has removed meanwhile: its lock keeps nobody out. */
function isLocked(fd: Fd, path: string): boolean {
  return tryLock(fd) && statusIfExists(path)?.inode === statusOf(fd).inode;
}
