// Our node and Go's where overlaps are not checked: Go looks at the pool alone, so the entry is written before an ADD of ours returns, and goes some time
// after its claim.
import { indexId, isIndexId } from "../../../src/pool/claim.ts";
import { addresses, type Holder } from "./store.ts";
import type { Actor, World } from "./world.ts";

/** What DEL gives back: as the journal has it. */
interface Line {
  readonly address: number;
  readonly id: string;
  uid?: string;
}

/** The lives of a container, one after the other; runtimes may use its id again. */
export function* ourApart(world: World, holder: Holder): Actor {
  for (let life = world.chance(3); life >= 0; life--) {
    const own = { ...holder, owner: world.name("o") };
    const journal: Line[] = [];
    if (yield* add(world, own, journal)) for (let step = world.chance(8); step > 0; step--) yield;
    yield* del(world, own, journal);
    if (world.chance(3) === 0) yield* del(world, own, journal);
  }
  world.pods.delete(holder.podref);
}

function* add(world: World, holder: Holder, journal: Line[]): Generator<void, boolean, void> {
  const { store } = world;
  const tag = store.weakening.withoutTag === true ? "" : holder.owner.padStart(8, "0");
  const id = indexId(holder.container, tag);
  const tried = new Set<number>();
  for (;;) {
    const entries = store.entries();
    for (let age = world.chance(4); age >= 0; age--) yield;
    const open = addresses.filter((each) => !tried.has(each));
    const address = open.find((each) => !entries.has(String(each))) ?? open.find((each) => isFree(entries, each));
    if (address === undefined) return false;
    const line: Line = { address, id };
    journal.push(line);
    if (isKilled(world)) return false;
    const uid = store.create(address, holder, true, true);
    if (isKilled(world)) return false;
    if (uid !== undefined) {
      line.uid = uid;
      yield;
      if (yield* enter(world, holder, line)) {
        if (isKilled(world)) return false;
        world.uses(address, holder);
        return true;
      }
      store.letGo(address, uid);
      yield;
      store.delete(address, uid);
    }
    journal.splice(journal.indexOf(line), 1);
    tried.add(address);
  }
}

function isFree(entries: ReadonlyMap<string, { readonly id: string }>, address: number): boolean {
  const id = entries.get(String(address))?.id;
  return id === undefined || isIndexId(id);
}

/** Where none is, or in place of what only shows a claim; false when Go has the address. */
function* enter(world: World, { podref }: Holder, { address, id }: Line): Generator<void, boolean, void> {
  const { store } = world;
  const entry = { id, podref, ifname: "net1" };
  for (;;) {
    const shown = store.entry(address);
    yield;
    if (shown?.id === id) return true;
    if (shown !== undefined && !isIndexId(shown.id)) return false;
    const isDone = store.change(String(address), shown?.id, entry);
    yield;
    if (isDone) return true;
  }
}

/** The entry is left to whoever writes the pool next on this node, at any later time; then the claim goes. */
function* del(world: World, holder: Holder, journal: readonly Line[]): Actor {
  const { store } = world;
  world.leaves(holder);
  yield;
  for (const { address, id, uid } of journal) {
    const found = store.reservation(address);
    const known = uid ?? (found?.annotations["polynic.io/owner"] === holder.owner ? found.uid : undefined);
    yield;
    if (known === undefined) continue;
    world.actors.push(remover(world, address, id));
    store.letGo(address, known);
    yield;
    store.delete(address, known);
    yield;
  }
}

function* remover(world: World, address: number, id: string): Actor {
  for (let step = world.chance(40); step > 0; step--) yield;
  world.store.change(String(address), id, undefined);
}

/** The life of a sandbox on a Go node. */
export function* goApart(world: World, holder: Holder): Actor {
  const { store } = world;
  const key = yield* goAdd(world, holder);
  if (key !== undefined) world.uses(Number(key), holder);
  for (let step = world.chance(8); step > 0; step--) yield;
  world.leaves(holder);
  yield;
  if (key !== undefined) store.change(key, holder.container, undefined);
  world.pods.delete(holder.podref);
}

function* goAdd(world: World, { container, podref }: Holder): Generator<void, string | undefined, void> {
  const { store } = world;
  for (let attempt = 0; attempt < 6; attempt++) {
    const entries = store.entries();
    const { version } = store;
    yield;
    const address = addresses.find((each) => !entries.has(String(each)));
    if (address === undefined) continue;
    if (store.changeAt(version, String(address), { id: container, podref, ifname: "net1" })) return String(address);
    yield;
  }
  return undefined;
}

/** Go's reconciler takes reservations of our names for orphans, whosever they are. */
export function* goReconcilerApart(world: World): Actor {
  for (let run = 0; run < 2; run++) {
    const reservations = world.store.reservations();
    yield;
    for (const { name } of reservations) {
      world.store.deleteByName(Number(name.split(".")[3]));
      yield;
    }
  }
}

function isKilled(world: World): boolean {
  return world.chance(12) === 0;
}
