// Our controller in the model: the decisions are the real code's, what it sees is as old as chance wants.
import type { PoolChange } from "../../../src/cluster/pools/port.ts";
import { planIndex } from "../../../src/controller/index-plan.ts";
import { holdingsOf } from "../../../src/controller/holding.ts";
import { Scans } from "../../../src/controller/scans.ts";
import { findSuspects } from "../../../src/controller/verdict.ts";
import type { Actor, World } from "./world.ts";

/** Brings the map in step with claims that were listed some time before. */
export function* indexer(world: World): Actor {
  const { store } = world;
  for (let run = 0; run < 4; run++) {
    const claims = store.reservations();
    yield;
    const pool = store.pool();
    yield;
    write(store, planIndex(pool, claims).changes);
    yield;
  }
}

/** As `indexer` where nodes enter their claims themselves: there it waits until what it sees of claims is as new as what it has seen of the pool. */
export function* patientIndexer(world: World): Actor {
  const { store } = world;
  for (let run = 0; run < 4; run++) {
    const pool = store.pool();
    yield;
    const claims = store.reservations();
    yield;
    write(store, planIndex(pool, claims).changes);
    yield;
  }
}

function write(store: World["store"], changes: readonly PoolChange[]): void {
  for (const change of changes) {
    if (change.op === "add") store.change(change.key, undefined, change.entry);
    else store.change(change.key, change.id, change.op === "remove" ? undefined : change.entry);
  }
}

/** Looks twice, a minute apart, and releases what had no holder both times. */
export function* collector(world: World): Actor {
  const { store } = world;
  const scans = new Scans();
  for (let run = 0; run < 3; run++) {
    const pool = store.pool();
    const reservations = store.reservations();
    yield;
    const evidence = { pods: new Map(world.pods), nodes: undefined };
    const suspects = findSuspects(holdingsOf([pool], reservations), evidence);
    world.nowMs += 60_000;
    for (const { holding } of scans.confirm(suspects, world.nowMs)) {
      const { entry, reservation } = holding;
      if (entry !== undefined) store.change(entry.key, entry.id, undefined);
      if (reservation !== undefined) {
        const address = Number(reservation.name.split(".")[3]);
        store.letGo(address, reservation.uid);
        yield;
        store.delete(address, reservation.uid);
      }
      yield;
    }
    for (let step = 10; step > 0; step--) yield;
  }
}
