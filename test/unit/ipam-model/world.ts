// What the model knows besides the store: which sandboxes use which address, which pods there are, and chance.
import type { PodFacts } from "../../../src/controller/facts.ts";
import { type Holder, Store, type Weakening } from "./store.ts";

/** What a process of ours has written down before and after each creation. */
export interface JournalLine {
  readonly address: number;
  readonly owner: string;
  uid?: string;
}

/** An actor: everything between two yields is one atomic request, or nothing at all. */
export type Actor = Generator<void, void, void>;

/** True for pods of Go nodes. */
function isGo(podref: string): boolean {
  return podref.startsWith("default/go");
}

/** A duplicate: the second got the address while the first used it. */
export class DuplicateError extends Error {
  override readonly name = "DuplicateError";
}

export class World {
  readonly store: Store;
  readonly #users = new Map<number, readonly Holder[]>();
  readonly pods = new Map<string, PodFacts>();
  readonly actors: Actor[] = [];
  /** Simulated ms. */
  nowMs = 0;
  /** ADDs that have ended well. */
  claims = 0;
  faultsOfGo = 0;
  readonly #robbed = new Set<string>();
  #state: number;
  #names = 0;

  constructor(seed: number, weakening: Weakening) {
    this.store = new Store(weakening);
    this.#state = seed * 0x9e3779b9 + 1;
  }

  /** From 0 to below `count`; mulberry32. */
  chance(count: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % count;
  }

  name(prefix: string): string {
    return `${prefix}${this.#names++}`;
  }

  /** A pod with one sandbox. */
  newPod(prefix: string): Holder {
    const podref = `default/${this.name(prefix)}`;
    const podUid = this.name("u");
    const facts = { ref: podref, uid: podUid, phase: "Running", isTerminating: false, node: "n", isStatic: false };
    this.pods.set(podref, { ...facts, hasSandbox: undefined, addresses: new Map() });
    return { podref, podUid, container: this.name("c"), owner: this.name("o") };
  }

  /** The pod's status names its address from now on. */
  tellStatus({ podref }: Holder, address: number): void {
    const pod = this.pods.get(podref);
    if (pod !== undefined)
      this.pods.set(podref, { ...pod, addresses: new Map([["net1", new Set([`10.0.0.${address}`])]]) });
  }

  /**
   * The sandbox has its address. Nobody else may be using it; but a sandbox of Go's from which Go itself has taken its entry or reservation by
   * mistake is Go's own fault, and counted as such.
   */
  uses(address: number, holder: Holder): void {
    this.claims++;
    const users = this.#users.get(address) ?? [];
    for (const other of users) {
      if (this.#robbed.has(other.podref)) this.faultsOfGo++;
      else throw new DuplicateError(`10.0.0.${address} is used by ${other.container} and ${holder.container}`);
    }
    this.#users.set(address, [...users, holder]);
  }

  leaves({ container }: Holder): void {
    for (const [address, users] of this.#users)
      this.#users.set(
        address,
        users.filter((user) => user.container !== container),
      );
  }

  /** Go deletes a reservation by name: by mistake, if it is that of a live pod of its own (whereabouts.md of the reference, 2.3 and 5.3). */
  goDeletes(address: number, own = ""): void {
    const podref = this.store.reservation(address)?.podref ?? "";
    if (podref !== own) this.#rob(podref);
    this.store.deleteByName(address);
  }

  /** Go's reconciler takes an entry away by a snapshot that may be older than the pod's status. */
  goRemoves(version: number, key: string, podref: string): void {
    if (this.store.changeAt(version, key, undefined)) this.#rob(podref);
  }

  #rob(podref: string): void {
    if (isGo(podref) && this.pods.has(podref)) this.#robbed.add(podref);
  }

  /** A request that is on its way and reaches the server later, or never. */
  delay(request: () => void): void {
    const late = function* (): Actor {
      yield;
      request();
    };
    if (this.chance(4) > 0) this.actors.push(late());
  }
}
