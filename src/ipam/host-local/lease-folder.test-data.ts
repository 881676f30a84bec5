import { mkdtempSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseIp } from "../../ip/address.ts";
import { LeaseStore } from "./store.ts";

/** Two holders. */
export const a = { containerId: "a", ifName: "eth0" };
export const b = { containerId: "b", ifName: "eth0" };

type NamedHolder = typeof a;

export const ip = (text: string) => parseIp(text)!;

/** The folder of a network's leases for a test file, and what is done to it from either side. */
export class LeaseFolder implements Disposable {
  readonly #dataDir = mkdtempSync(join(tmpdir(), "polynic-leases-"));
  readonly directory = join(this.#dataDir, "pool");

  /** Back to a network that nobody used. */
  clear(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  open(): LeaseStore {
    return LeaseStore.open(this.#dataDir, "pool");
  }

  openIfExists(): LeaseStore | undefined {
    return LeaseStore.openIfExists(this.#dataDir, "pool");
  }

  /** Runs `work` with the store, as one call of the plugin does. */
  inStore<T>(work: (store: LeaseStore) => T): T {
    using store = this.open();
    return work(store);
  }

  take(holder: NamedHolder, text: string): boolean {
    return this.inStore((store) => store.take(holder, ip(text)) !== undefined);
  }

  namesOf(holder: NamedHolder): string[] {
    return this.inStore((store) => store.leasesOf(holder).map(({ name }) => name)).sort();
  }

  release(holder: NamedHolder): void {
    using store = this.openIfExists();
    for (const lease of store?.leasesOf(holder) ?? []) store?.release(lease);
  }

  /** What a person sees in the folder. */
  listing(): string[] {
    return readdirSync(this.directory)
      .filter((name) => !name.startsWith("."))
      .sort();
  }

  /** What the entries of the index are for: addresses, and "new". */
  entries(): string[] {
    return readdirSync(join(this.directory, ".polynic"), { recursive: true })
      .map(String)
      .flatMap((path) => path.split("@")[1] ?? [])
      .sort();
  }

  /** A lease as the Go plugin makes it. */
  goLease(name: string, content: string): void {
    writeFileSync(join(this.directory, name), content, { mode: 0o600 });
  }

  /** DEL of the Go plugin: every file below the folder that holds the text goes. */
  goRelease(text: string): void {
    for (const entry of readdirSync(this.directory, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile() && readFileSync(path, "utf8").trim() === text) unlinkSync(path);
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.#dataDir, { recursive: true });
  }
}
