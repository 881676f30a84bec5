// The API server of the model: reservations and one pool's map, with exactly the guarantees that the real one gives.
import { claimMetadata, ownerAnnotation } from "../../../src/pool/claim.ts";
import type { Allocation, IpPool, Reservation } from "../../../src/pool/objects.ts";

/** What a test may take out of the protocol, to see whether the model notices. */
export interface Weakening {
  /** Claims carry no finalizer: Go's deletions by name take them away. */
  readonly withoutFinalizer?: true;
  /** Our deletions name no uid. */
  readonly withoutUid?: true;
  /** A creation under a name that exists succeeds. */
  readonly withoutExclusion?: true;
  /** Entries of one container look the same, whichever ADD has made them. */
  readonly withoutTag?: true;
}

const range = "10.0.0.0/29";
const poolName = "10.0.0.0-29";

/** Host parts of the addresses that can be given out. */
export const addresses = [1, 2, 3] as const;

interface Stored {
  readonly reservation: Reservation;
  hasFinalizer: boolean;
  isTerminating: boolean;
}

export class Store {
  readonly #reservations = new Map<number, Stored>();
  readonly #entries = new Map<string, Allocation>();
  #version = 0;
  #uids = 0;

  constructor(readonly weakening: Weakening) {}

  /** POST: the uid, or undefined when the name is taken. */
  create(address: number, holder: Holder, isOurs: boolean, isEntered = false): string | undefined {
    if (this.#reservations.has(address) && this.weakening.withoutExclusion !== true) return undefined;
    const uid = String(++this.#uids);
    const { podref, podUid, container, owner } = holder;
    const facts = { pool: poolName, range, address: `10.0.0.${address}`, node: "n", podUid, ifName: "net1", isEntered };
    const { labels, annotations } = claimMetadata(facts, container);
    const reservation: Reservation = {
      name: `10.0.0.${address}`,
      uid,
      resourceVersion: "",
      labels: isOurs ? labels : {},
      annotations: isOurs ? { ...annotations, [ownerAnnotation]: owner } : {},
      finalizers: [],
      createdAt: "",
      isTerminating: false,
      podref,
      containerId: isOurs ? container : "",
      ifName: "net1",
    };
    const hasFinalizer = isOurs && this.weakening.withoutFinalizer !== true;
    this.#reservations.set(address, { reservation, hasFinalizer, isTerminating: false });
    return uid;
  }

  /** GET. */
  reservation(address: number): Reservation | undefined {
    return this.#reservations.get(address)?.reservation;
  }

  /** DELETE by name, as Go does it: a finalizer keeps the object. */
  deleteByName(address: number): void {
    const stored = this.#reservations.get(address);
    if (stored === undefined) return;
    stored.isTerminating = true;
    if (!stored.hasFinalizer) this.#reservations.delete(address);
  }

  /** PATCH that takes our finalizer off; a deletion that has waited for it happens. */
  letGo(address: number, uid: string): void {
    const stored = this.#reservations.get(address);
    if (stored === undefined || !this.#isMeant(stored, uid)) return;
    stored.hasFinalizer = false;
    if (stored.isTerminating) this.#reservations.delete(address);
  }

  /** DELETE with the uid as precondition. */
  delete(address: number, uid: string): void {
    const stored = this.#reservations.get(address);
    if (stored !== undefined && this.#isMeant(stored, uid)) this.deleteByName(address);
  }

  /** LIST. */
  reservations(): Reservation[] {
    return [...this.#reservations.values()].map(({ reservation }) => reservation);
  }

  get version(): number {
    return this.#version;
  }

  entry(address: number): Allocation | undefined {
    return this.#entries.get(String(address));
  }

  entries(): ReadonlyMap<string, Allocation> {
    return new Map(this.#entries);
  }

  pool(): IpPool {
    return {
      name: poolName,
      range,
      uid: "p",
      resourceVersion: String(this.#version),
      annotations: {},
      allocations: Object.fromEntries([...this.#entries].map(([key, entry]) => [key, { ...entry }])),
    };
  }

  /** PATCH of the map: only where what is there is what `expected` says (undefined for nothing). */
  change(key: string, expected: string | undefined, entry: Allocation | undefined): boolean {
    if (this.#entries.get(key)?.id !== expected) return false;
    this.#version++;
    if (entry === undefined) this.#entries.delete(key);
    else this.#entries.set(key, entry);
    return true;
  }

  /** As Go patches: the whole object must be as it was read. */
  changeAt(version: number, key: string, entry: Allocation | undefined): boolean {
    return version === this.#version && this.change(key, this.#entries.get(key)?.id, entry);
  }

  #isMeant(stored: Stored, uid: string): boolean {
    return this.weakening.withoutUid === true || stored.reservation.uid === uid;
  }
}

/** Who claims an address. */
export interface Holder {
  readonly podref: string;
  readonly podUid: string;
  /** The container id: one sandbox. */
  readonly container: string;
  /** The random text of the ADD. */
  readonly owner: string;
}
