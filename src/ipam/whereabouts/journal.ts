import { CniError, code } from "../../cni/error.ts";
import type { PoolsSource } from "../../cluster/pools/port.ts";
import { isClusterError } from "../../cluster/port.ts";
import { lock } from "../../cluster/lock.ts";
import { SystemError } from "../../libc/errno.ts";
import type { Fd } from "../../libc/fd.ts";
import {
  makeDirectories,
  readAll,
  readDirectoryIfExists,
  readTextIfExists,
  statusIfExists,
  unlinkIfExists,
  writeAll,
} from "../../libc/file.ts";

/** Whose claims they are. */
export interface AttachmentKey {
  readonly containerId: string;
  readonly ifName: string;
}

/** What a journal says before its first claim. */
export interface JournalHead {
  /** The network's name in CNI: GC of one network must leave another's attachments alone. */
  readonly network: string;
  readonly source: PoolsSource;
  readonly podref: string;
}

/** An address that was, or may have been, claimed. */
export interface JournalClaim {
  /** Of the reservation. */
  readonly name: string;
  /** Random text that is in the reservation if this claim made it. */
  readonly owner: string;
  /** With the range's prefix length: "10.0.0.5/24". */
  readonly address: string;
  /** Which range it was claimed for; -1 for a static address. */
  readonly range: number;
  readonly hasFinalizer: boolean;
  /** The address is held by a file in the folder of this node's slices, and by nothing else; `uid` is the owner's text then. */
  readonly slice?: { readonly folder: string; readonly address: string };
  /** The pool's entry that was claimed besides. */
  readonly entry?: { readonly pool: string; readonly key: string; readonly id: string };
  /** What the node's hints call it. */
  readonly hint: { readonly pool: string; readonly key: string };
  /** How long the address is to be kept from others when the attachment is gone. */
  readonly releaseDelayMs: number;
  /** Of the reservation; absent while it is not known whether it was made. */
  readonly uid?: string;
}

/** One line of the file. */
type Line =
  | { readonly head: JournalHead }
  | { readonly claim: JournalClaim }
  | { readonly made: string; readonly uid: string }
  | { readonly gone: string }
  | { readonly complete: true };

/**
 * What one attachment has claimed, in `<data_dir>/journal/<container>:<interface>`: a line of JSON for each step, written *before* a
 * reservation is created and after its fate is known. So a process that is killed between any two steps leaves enough for DEL and GC, which
 * then need nothing else to know what to give back. Whoever holds the object holds the file's lock: ADD and DEL of an attachment never
 * overlap. Not synced to disk: a power cut ends the containers too, and the controller collects what they had.
 */
export class Journal implements Disposable {
  readonly #claims = new Map<string, JournalClaim>();
  head: JournalHead | undefined;
  /** The ADD was finished: all that it wanted is claimed. */
  isComplete = false;

  private constructor(
    readonly path: string,
    readonly fd: Fd,
  ) {
    const text = new TextDecoder().decode(readAll(fd));
    // What a killed writer left unfinished must not swallow the next line.
    if (text !== "" && !text.endsWith("\n")) writeAll(fd, "\n");
    for (const line of text.split("\n")) {
      const step = parseLine(line);
      if (step !== undefined) this.#apply(step);
    }
  }

  /** Opens and locks the journal, which is made when it is missing. Throws `CniError`: 11 when another call holds it, 5 when it can't be written. */
  static open(dataDir: string, key: AttachmentKey): Journal {
    const path = pathOf(dataDir, key);
    return orCniError(path, () => {
      if (statusIfExists(folderOf(dataDir)) === undefined) makeDirectories(folderOf(dataDir), 0o700);
      return Journal.#locked(path);
    });
  }

  /** As `open`; undefined when the attachment has none. */
  static openIfExists(dataDir: string, key: AttachmentKey): Journal | undefined {
    const path = pathOf(dataDir, key);
    return statusIfExists(path) === undefined ? undefined : orCniError(path, () => Journal.#locked(path));
  }

  /** True when the attachment has one. */
  static exists(dataDir: string, key: AttachmentKey): boolean {
    return statusIfExists(pathOf(dataDir, key)) !== undefined;
  }

  static #locked(path: string): Journal {
    const fd = lock(path);
    try {
      return new Journal(path, fd);
    } catch (error) {
      fd[Symbol.dispose]();
      throw error;
    }
  }

  /** What is claimed, or may be, in the order of claiming. */
  get claims(): JournalClaim[] {
    return [...this.#claims.values()];
  }

  begin(head: JournalHead): void {
    this.#write({ head });
  }

  /** To be called before the reservation is created. */
  intend(claim: JournalClaim): void {
    this.#write({ claim });
  }

  made(name: string, uid: string): void {
    this.#write({ made: name, uid });
  }

  /** The reservation is deleted, or it is certain that this claim never made it. */
  gone(name: string): void {
    this.#write({ gone: name });
  }

  complete(): void {
    this.#write({ complete: true });
  }

  /** Removes the file; the lock goes with the object. */
  remove(): void {
    orCniError(this.path, () => unlinkIfExists(this.path));
  }

  [Symbol.dispose](): void {
    this.fd[Symbol.dispose]();
  }

  #write(line: Line): void {
    orCniError(this.path, () => writeAll(this.fd, `${JSON.stringify(line)}\n`));
    this.#apply(line);
  }

  #apply(line: Line): void {
    if ("head" in line) {
      this.head = line.head;
      this.isComplete = false;
    } else if ("claim" in line) this.#claims.set(line.claim.name, line.claim);
    else if ("gone" in line) this.#claims.delete(line.gone);
    else if ("complete" in line) this.isComplete = true;
    else {
      const claim = this.#claims.get(line.made);
      if (claim !== undefined) this.#claims.set(line.made, { ...claim, uid: line.uid });
    }
  }
}

/** The attachments that have a journal. */
export function journaledAttachments(dataDir: string): AttachmentKey[] {
  const found: AttachmentKey[] = [];
  for (const { name } of readDirectoryIfExists(folderOf(dataDir))) {
    const colon = name.indexOf(":");
    if (colon > 0) found.push({ containerId: name.slice(0, colon), ifName: name.slice(colon + 1) });
  }
  return found;
}

/** What the journal of an attachment says now, without its lock; undefined when there is none. */
export function peekHead(dataDir: string, key: AttachmentKey): JournalHead | undefined {
  const first = parseLine(readTextIfExists(pathOf(dataDir, key))?.split("\n")[0] ?? "");
  return first !== undefined && "head" in first ? first.head : undefined;
}

function folderOf(dataDir: string): string {
  return `${dataDir}/journal`;
}

/** Neither a container id nor an interface name can hold a slash, and no container id a colon. */
function pathOf(dataDir: string, { containerId, ifName }: AttachmentKey): string {
  return `${folderOf(dataDir)}/${containerId}:${ifName}`;
}

/** A line that was cut short by a kill announced a step that was never taken. */
function parseLine(line: string): Line | undefined {
  if (line === "") return undefined;
  try {
    return JSON.parse(line) as Line;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function orCniError<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (isClusterError(cause)) {
      throw new CniError(code.tryAgainLater, `another call for this attachment is still running (lock ${path})`, "", {
        cause,
      });
    }
    if (!(cause instanceof SystemError)) throw cause;
    const hint =
      "data_dir has to be a writable directory with free space: claims are journaled there before they are made";
    throw new CniError(code.io, `the claims can't be journaled: ${cause.message}`, hint, { cause });
  }
}
