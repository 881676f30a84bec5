import type { PoolsSource } from "../../cluster/pools/port.ts";
import { isErrno } from "../../libc/errno.ts";
import {
  linkUnlessTaken,
  makeDirectories,
  readDirectoryIfExists,
  readTextIfExists,
  replaceFile,
  unlinkIfExists,
} from "../../libc/file.ts";

/** Who has an address of this node's slices. */
export interface SliceHolder {
  /** Random text of the ADD that took it; "" for a holder that Go whereabouts has entered into the pool. */
  readonly owner: string;
  /** Of a holder of Go: `id` of its entry. */
  readonly containerId: string;
  readonly ifName: string;
  readonly podref: string;
  /** The address has a reservation as well, by which the controller keeps the pool's map. */
  readonly isReserved: boolean;
}

/** What is known of the node's slices. */
export interface SliceFacts {
  readonly source: PoolsSource;
  readonly node: string;
  readonly networkName: string;
  readonly slices: readonly string[];
  /** When the store said so, in ms since 1970. */
  readonly atMs: number;
}

const factsName = ".slices";

/**
 * The addresses of this node's slices of one network, in `<data_dir>/slices/<NodeSlicePool>`: a file for each that is taken, named by the address. The
 * node owns its slices, so these files are the truth: who links a finished file to the address's name has it. The pools of the slices show them to
 * others (see slice-index.ts).
 */
export class SliceFolder {
  readonly path: string;

  constructor(
    dataDir: string,
    readonly name: string,
  ) {
    this.path = `${foldersOf(dataDir)}/${name}`;
  }

  facts(): SliceFacts | undefined {
    return this.#parsed(factsName) as SliceFacts | undefined;
  }

  setFacts(facts: SliceFacts): void {
    this.#made(() => replaceFile(`${this.path}/${factsName}`, JSON.stringify(facts)));
  }

  /** False when somebody has the address. */
  take(address: string, holder: SliceHolder): boolean {
    const draft = `${this.path}/.${address}.${holder.owner || "go"}.tmp`;
    this.#made(() => replaceFile(draft, JSON.stringify(holder), 0o600, draft, false));
    try {
      return linkUnlessTaken(draft, `${this.path}/${address}`);
    } finally {
      unlinkIfExists(draft);
    }
  }

  /** Undefined when nobody has the address, or when what a power cut left can't be read. */
  holderOf(address: string): SliceHolder | undefined {
    return this.#parsed(address) as SliceHolder | undefined;
  }

  /** Gives an address back, provided that it is still the holder's of that text. */
  release(address: string, owner: string): void {
    unlinkIfExists(`${this.path}/.${address}.${owner}.tmp`);
    const holder = this.holderOf(address);
    if (holder === undefined || holder.owner === owner) unlinkIfExists(`${this.path}/${address}`);
  }

  addresses(): string[] {
    const found: string[] = [];
    for (const { name } of readDirectoryIfExists(this.path)) if (!name.startsWith(".")) found.push(name);
    return found;
  }

  #made(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error;
      makeDirectories(this.path, 0o700);
      write();
    }
  }

  #parsed(name: string): unknown {
    const text = readTextIfExists(`${this.path}/${name}`);
    try {
      return text === undefined ? undefined : (JSON.parse(text) as unknown);
    } catch (error) {
      if (error instanceof SyntaxError) return undefined;
      throw error;
    }
  }
}

/** The folders of all networks whose slices this node has. */
export function sliceFolders(dataDir: string): SliceFolder[] {
  const found: SliceFolder[] = [];
  for (const { name } of readDirectoryIfExists(foldersOf(dataDir)))
    if (!name.startsWith(".")) found.push(new SliceFolder(dataDir, name));
  return found;
}

/** Where they lie. */
export function foldersOf(dataDir: string): string {
  return `${dataDir}/slices`;
}
