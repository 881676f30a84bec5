// Our node, step by step as src/ipam/whereabouts does it, with the kills and lost answers that it must survive.
import { isIndexId } from "../../../src/pool/claim.ts";
import { addresses, type Holder } from "./store.ts";
import type { Actor, JournalLine, World } from "./world.ts";

/** The life of a sandbox: ADD, use, DEL; or an ADD that is killed or fails, and its DEL. The runtime may call DEL again at any time. */
export function* ourSandbox(world: World, holder: Holder): Actor {
  const journal: JournalLine[] = [];
  const hasAddress = yield* add(world, holder, journal);
  if (hasAddress) for (let step = world.chance(8); step > 0; step--) yield;
  yield* del(world, holder, journal);
  // Runtimes call DEL two to four times.
  if (world.chance(3) === 0) yield* del(world, holder, journal);
  world.pods.delete(holder.podref);
}

/** True when the sandbox has an address; false after a kill, or when none is left. */
function* add(world: World, holder: Holder, journal: JournalLine[]): Generator<void, boolean, void> {
  const { store } = world;
  const tried = new Set<number>();
  for (;;) {
    const entries = store.entries();
    yield;
    // The pool comes out of the server's memory, or is what another call has read.
    for (let age = world.chance(4); age > 0; age--) yield;
    const address = addresses.find((each) => !tried.has(each) && !entries.has(String(each)));
    const last = address ?? addresses.find((each) => !tried.has(each) && isFree(entries.get(String(each))?.id));
    if (last === undefined) return false;
    const line: JournalLine = { address: last, owner: holder.owner };
    journal.push(line);
    if (isKilled(world)) return false;
    const uid = yield* create(world, last, holder);
    if (isKilled(world)) return false;
    if (uid === undefined) {
      journal.splice(journal.indexOf(line), 1);
      tried.add(last);
      continue;
    }
    line.uid = uid;
    yield;
    world.uses(last, holder);
    if (world.chance(2) === 0) world.tellStatus(holder, last);
    return true;
  }
}

/** An entry that only shows a claim holds nothing. */
function isFree(id: string | undefined): boolean {
  return id === undefined || isIndexId(id);
}

/** Creates the reservation. An answer that is lost is asked for: the object says whose it is. */
function* create(world: World, address: number, holder: Holder): Generator<void, string | undefined, void> {
  const { store } = world;
  const fate = world.chance(10);
  if (fate > 1) return store.create(address, holder, true);
  // Lost on the way back, or still on its way there.
  if (fate === 0) store.create(address, holder, true);
  else world.delay(() => store.create(address, holder, true));
  yield;
  const found = store.reservation(address);
  return found?.annotations["polynic.io/owner"] === holder.owner ? found.uid : undefined;
}

/** Gives back what the journal says, after the link is gone. */
function* del(world: World, holder: Holder, journal: readonly JournalLine[]): Actor {
  const { store } = world;
  world.leaves(holder);
  yield;
  for (const { address, owner, uid } of journal) {
    let known = uid;
    if (known === undefined) {
      const found = store.reservation(address);
      yield;
      if (found?.annotations["polynic.io/owner"] !== owner) continue;
      known = found.uid;
    }
    store.letGo(address, known);
    yield;
    const target = known;
    // An answer that does not come is a request that is made again, while the first one is still on its way.
    if (world.chance(5) === 0) world.delay(() => store.delete(address, target));
    store.delete(address, target);
    yield;
  }
}

function isKilled(world: World): boolean {
  return world.chance(12) === 0;
}
