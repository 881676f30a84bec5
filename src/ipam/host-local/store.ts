import { CniError, code } from "../../cni/error.ts";
import { formatIp, type Ip, parseIp } from "../../ip/address.ts";
import { isErrno } from "../../libc/errno.ts";
import type { Fd } from "../../libc/fd.ts";
import * as file from "../../libc/file.ts";
import { tryLock } from "../../libc/lock.ts";
import { sleep } from "../../libc/process.ts";
import { HolderIndex } from "./holder-index.ts";
import { formatHolder, type Holder, isLeaseName } from "./lease.ts";

/** Longer than the Go plugin needs for a hundred calls that queue up before us, shorter than a runtime's patience. */
const lockTimeoutMs = 60_000;
const longestPauseMs = 8;
/** So many taken addresses are found out one by one; then listing the names is cheaper. */
const probeLimit = 16;

/**
 * The leases of one network, in the layout of upstream's host-local and under its lock, so that both may work on one directory:
 * `<dataDir>/<network>/<address>` is a lease (see lease.ts for its content), `last_reserved_ip.<set>` where the search goes on, `lock` what
 * flock(2) is taken on for as long as this object lives. Our own addition is `.polynic` (see holder-index.ts).
 *
 * A lease is taken by creating its file, by nothing else: even without the lock, and whatever the index says, no address is given
 * out twice. Files without content are what a crash of the Go plugin or a power cut leaves behind; since all writers finish theirs
 * under the lock, one that is found under the lock has no owner, and it is removed when names are compared, when its address is
 * asked for, and before a set counts as exhausted. (To keep an address out of use by hand, write a word into its file; one that
 * begins with # also survives GC.)
 *
 * Not synced to disk: a power cut ends the containers too.
 */
export class LeaseStore implements Disposable {
  readonly #index: HolderIndex;
  #refusals = 0;
  #names: ReadonlySet<string> | undefined;

  private constructor(
    readonly directory: string,
    readonly lock: Fd,
  ) {
    this.#index = new HolderIndex(directory);
  }

  /** Opens and locks the network's directory, which is made when it is missing. Throws `CniError`: 11 when the lock stays taken. */
  static open(dataDir: string, network: string): LeaseStore {
    const directory = `${dataDir}/${network}`;
    file.makeDirectories(directory);
    return LeaseStore.#openLocked(directory);
  }

  /** As `open`; undefined when the network has no directory, and so no leases. */
  static openIfExists(dataDir: string, network: string): LeaseStore | undefined {
    const directory = `${dataDir}/${network}`;
    if (file.statusIfExists(directory) === undefined) return undefined;
    try {
      return LeaseStore.#openLocked(directory);
    } catch (error) {
      // Removed just now.
      if (isErrno(error, "ENOENT")) return undefined;
      throw error;
    }
  }

  static #openLocked(directory: string): LeaseStore {
    const lock = file.open(`${directory}/lock`, file.O_RDONLY | file.O_CREAT, 0o750);
    try {
      acquire(lock);
      return new LeaseStore(directory, lock);
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  /** The addresses that the holder has; when there are none, those that an old version leased to its container. */
  leasesOf({ containerId, ifName }: Holder): Lease[] {
    for (const text of [formatHolder({ containerId, ifName }), containerId]) {
      const leases: Lease[] = [];
      for (const name of this.#index.find(text)) leases.push({ name, text });
      if (leases.length > 0) return leases;
    }
    return [];
  }

  /** Leases the address; undefined when somebody has it. */
  take(holder: Holder, ip: Ip): Lease | undefined {
    const lease = { name: formatIp(ip), text: formatHolder(holder) };
    if (this.#refusals >= probeLimit) this.#names ??= new Set(this.names());
    if (this.#names?.has(lease.name) === true) return undefined;
    if (this.#index.add(lease.text, lease.name)) return lease;
    this.#refusals++;
    return undefined;
  }

  /** Gives the address back, provided that its file still holds the same text. */
  release({ name, text }: Lease): void {
    if (this.#index.read(name) === text) this.#index.remove(text, name);
  }

  /** Who has the address and since when; undefined when nobody has. A file without content is removed. */
  holderOf(ip: Ip): LeaseStatus | undefined {
    const name = formatIp(ip);
    const status = file.statusIfExists(`${this.directory}/${name}`);
    const text = this.#index.read(name);
    if (status === undefined || text === undefined) return undefined;
    if (text !== "") return { text, since: new Date(status.modifiedMs) };
    file.unlinkIfExists(`${this.directory}/${name}`);
    return undefined;
  }

  /** The names of all leases. */
  names(): string[] {
    return file
      .readDirectory(this.directory)
      .flatMap(({ name, kind }) => (kind !== "directory" && isLeaseName(name) ? [name] : []));
  }

  /**
   * Reads every lease and removes those that `isStale` says so of, and those without content; also makes the index anew. Returns the
   * names of what was removed.
   */
  sweep(isStale: (text: string) => boolean = () => false): string[] {
    const removed = this.names().filter((name) => {
      const text = this.#index.read(name);
      if (text === undefined || (text !== "" && !isStale(text))) return false;
      this.#index.remove(text, name);
      return true;
    });
    this.#index.rebuild();
    this.#names = undefined;
    return removed;
  }

  /** The address that the set of that number leased last; undefined when it never did, or when the file is torn. */
  lastReserved(set: number): Ip | undefined {
    return parseIp(file.readTextIfExists(this.#lastPath(set))?.trim() ?? "");
  }

  rememberLast(set: number, ip: Ip): void {
    file.overwriteFile(this.#lastPath(set), formatIp(ip));
  }

  #lastPath(set: number): string {
    return `${this.directory}/last_reserved_ip.${set}`;
  }

  /** Seals the index and unlocks. */
  [Symbol.dispose](): void {
    try {
      this.#index.close();
    } finally {
      this.lock[Symbol.dispose]();
    }
  }
}

/** One leased address: the name of its file, which is the address as text, and the holder's text in it. */
export interface Lease {
  readonly name: string;
  readonly text: string;
}

export interface LeaseStatus {
  readonly text: string;
  readonly since: Date;
}

/** By asking again and again: flock(2) itself knows no time limit, and its holder may be a process that hangs. */
function acquire(lock: Fd): void {
  let waitedMs = 0;
  for (let pauseMs = 0.25; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
    if (tryLock(lock)) return;
    if (waitedMs >= lockTimeoutMs) {
      throw new CniError(
        code.tryAgainLater,
        `${lock.subject} is held by another process for more than ${lockTimeoutMs / 1000} s`,
        `find it by "fuser ${lock.subject}"`,
      );
    }
    sleep(pauseMs);
    waitedMs += pauseMs;
  }
}
