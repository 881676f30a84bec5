import { SystemError } from "../../libc/errno.ts";
import * as file from "../../libc/file.ts";
import { holderText, isLeaseName } from "./lease.ts";

const folderName = ".polynic";
/** Behind the "@" of an entry that is still being made; no address reads like that. */
const stagedName = "new";
const keyDigits = 32;
/**
 * How far the time of a sealed directory lies before the change that it seals. Whatever comes later gets a later time, even within one
 * tick of the kernel's clock and on file systems that keep whole seconds.
 */
const sealOffsetNs = 2_000_000_000n;
/** How much older than the directory `.polynic` is made to look; two changes by the kernel's clock are never that far apart (31 years). */
const sealAgeNs = 1_000_000_000_000_000_000n;

/**
 * Finds the leases of a holder in a network's directory without reading every lease. For use under the network's lock.
 *
 * Each lease has a second name (a hard link): `.polynic/<h>/<hash>@<address>`, with the hash of the holder and its first digit, so a
 * look-up lists one short directory. Every hit is checked against the lease's content before it counts, so a wrong entry can't do
 * harm; what remains to be known is that no entry is missing. That is what the seal says: when all leases have entries, `.polynic`
 * gets a time of modification that is a certain span before that of the network's directory. Since any file that appears, goes or is
 * replaced in the latter makes its time the present, that span means that nobody else (the Go plugin, a person, a crash half way)
 * was there since. Otherwise the names of both are listed and compared by inode, which needs no reading of leases that have their
 * entry, and those without get one. Only a change of holder inside an existing file, which no plugin ever makes, goes unnoticed
 * by ADD and DEL; GC reads everything.
 *
 * The Go plugin does not mind: it reads entries as it reads every file below the network's directory, finds the holder's text, and at
 * DEL removes them together with the lease; as addresses it takes only names that are addresses.
 */
export class HolderIndex {
  readonly #folder: string;
  /** Leases that could not get an entry, names by holder text: those of another owner, or a file system that is full. */
  readonly #loose = new Map<string, string[]>();
  /** Every lease has its entry, or is in `#loose`; only then may the index be sealed. */
  #isWhole: boolean;
  #staged: { readonly text: string; readonly path: string } | undefined;

  /** Brings the index of `directory`, which exists, up to date. Leases that a crash left without content are removed on the way. */
  constructor(readonly directory: string) {
    this.#folder = `${directory}/${folderName}`;
    this.#isWhole = this.#isSealed();
    if (!this.#isWhole) this.rebuild();
  }

  /** The names of the leases whose content is `text`, in no particular order. Entries that have lost their lease are removed. */
  find(text: string): string[] {
    const found: string[] = [];
    for (const name of this.#loose.get(text) ?? []) if (this.read(name) === text) found.push(name);
    const bucket = this.#bucket(text);
    const prefix = `${keyOf(text)}@`;
    for (const entry of file.readDirectoryIfExists(bucket)) {
      if (!entry.name.startsWith(prefix)) continue;
      const path = `${bucket}/${entry.name}`;
      const lease = entry.name.slice(prefix.length);
      if (isLeaseName(lease) && this.read(lease) === text) found.push(lease);
      else if (path !== this.#staged?.path) file.unlinkIfExists(path);
    }
    return found;
  }

  /** The holder's text in that lease; "" for one that a crash left without content, undefined when the address is not leased. */
  read(name: string): string | undefined {
    const content = file.readTextIfExists(`${this.directory}/${name}`);
    return content === undefined ? undefined : holderText(content);
  }

  /**
   * Leases `name` to the holder `text`; false when it is taken. The content is complete before the lease appears: it is written to an
   * entry without address, linked to the lease's name (which fails when that is taken), and then the entry gets its own name.
   */
  add(text: string, name: string): boolean {
    this.#staged ??= { text, path: this.#stage(text) };
    if (this.#staged.text !== text) throw new TypeError("one index serves one holder at a time");
    const lease = `${this.directory}/${name}`;
    if (!file.linkUnlessTaken(this.#staged.path, lease)) return false;
    try {
      file.rename(this.#staged.path, this.#entry(text, name));
    } catch (error) {
      this.#isWhole = false;
      file.unlinkIfExists(lease);
      throw error;
    }
    this.#staged = undefined;
    return true;
  }

  /** Gives up the lease, then its entry. What is gone already is fine. */
  remove(text: string, name: string): void {
    file.unlinkIfExists(`${this.directory}/${name}`);
    file.unlinkIfExists(this.#entry(text, name));
  }

  /** Compares the names of leases and entries: entries without lease go, leases without entry get one, leases without content go. */
  rebuild(): void {
    this.#isWhole = false;
    this.#loose.clear();
    const leases = new Map<string, bigint>();
    for (const { name, inode, kind } of file.readDirectory(this.directory)) {
      if (kind !== "directory" && isLeaseName(name)) leases.set(name, inode);
    }
    for (const name of this.#pruneEntries(leases)) leases.delete(name);
    for (const name of leases.keys()) this.#adopt(name);
    this.#isWhole = true;
  }

  /** Ends the work under the lock: the next one need not compare anything, provided that nobody else was there. */
  close(): void {
    if (this.#staged !== undefined) file.unlinkIfExists(this.#staged.path);
    this.#staged = undefined;
    if (!this.#isWhole || this.#loose.size > 0 || this.#isSealed()) return;
    try {
      const time = file.status(this.directory).modifiedNs - sealOffsetNs;
      file.makeDirectories(this.#folder, 0o700);
      file.setModified(this.directory, time);
      file.setModified(this.#folder, time - sealAgeNs);
    } catch (error) {
      // Somebody else's directory, or a read-only one: without a seal the next call compares names, and that is all.
      if (!(error instanceof SystemError)) throw error;
    }
  }

  #isSealed(): boolean {
    const folder = file.statusIfExists(this.#folder);
    return folder !== undefined && folder.modifiedNs + sealAgeNs === file.status(this.directory).modifiedNs;
  }

  /** Removes entries that are no longer a name of their lease; returns the leases of the others. */
  #pruneEntries(leases: ReadonlyMap<string, bigint>): string[] {
    const known: string[] = [];
    for (const { name: bucket } of file.readDirectoryIfExists(this.#folder)) {
      for (const { name, inode } of file.readDirectoryIfExists(`${this.#folder}/${bucket}`)) {
        const lease = name.slice(keyDigits + 1);
        if (leases.get(lease) === inode) known.push(lease);
        else file.unlinkIfExists(`${this.#folder}/${bucket}/${name}`);
      }
    }
    return known;
  }

  #adopt(name: string): void {
    const text = this.read(name);
    if (text === undefined) return;
    const lease = `${this.directory}/${name}`;
    if (text === "") {
      file.unlinkIfExists(lease);
      return;
    }
    try {
      file.makeDirectories(this.#bucket(text), 0o700);
      file.link(lease, this.#entry(text, name));
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#loose.set(text, [...(this.#loose.get(text) ?? []), name]);
    }
  }

  /** Writes the content of a lease to come. One that a crash left here may be a lease's content by now, so it is never written over. */
  #stage(text: string): string {
    const path = this.#entry(text, stagedName);
    file.unlinkIfExists(path);
    // Made every time, though it is there mostly: finding that out by a failure would cost a thousand times the system call.
    file.makeDirectories(this.#bucket(text), 0o700);
    using fd = file.open(path, file.O_WRONLY | file.O_CREAT | file.O_EXCL, 0o600);
    try {
      file.writeAll(fd, text);
    } catch (error) {
      file.unlinkIfExists(path);
      throw error;
    }
    return path;
  }

  #entry(text: string, name: string): string {
    const key = keyOf(text);
    return `${this.#folder}/${key.slice(0, 1)}/${key}@${name}`;
  }

  #bucket(text: string): string {
    return `${this.#folder}/${keyOf(text).slice(0, 1)}`;
  }
}

/** A name for the holder that fits any file system; it must never change, or existing entries would not be found. */
function keyOf(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, keyDigits);
}
