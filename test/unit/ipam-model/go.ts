// A Go node and Go's reconciler, step by step as pkg/storage/kubernetes/ipam.go and pkg/reconciler do it, with overlap checks on.
import { addresses, type Holder } from "./store.ts";
import type { Actor, World } from "./world.ts";

/** The life of a sandbox on a Go node. */
export function* goSandbox(world: World, holder: Holder): Actor {
  const address = yield* add(world, holder);
  if (address !== undefined) {
    world.uses(address, holder);
    // Multus has written it before the reconciler looks: what it does to Go's own pods otherwise is Go's bug.
    world.tellStatus(holder, address);
    for (let step = world.chance(8); step > 0; step--) yield;
  }
  world.leaves(holder);
  yield;
  yield* del(world, holder);
  world.pods.delete(holder.podref);
}

/** The address, or undefined when the ADD has failed: Go leaves what it has done so far to the DEL that follows. */
function* add(world: World, holder: Holder): Generator<void, number | undefined, void> {
  const { store } = world;
  const skipped = new Set<number>();
  for (let attempt = 0; attempt < 6; attempt++) {
    const entries = store.entries();
    const { version } = store;
    yield;
    const address = addresses.find((each) => !entries.has(String(each)) && !skipped.has(each));
    if (address === undefined) return undefined;
    const found = store.reservation(address);
    yield;
    if (found !== undefined && found.podref !== holder.podref) {
      skipped.add(address);
      continue;
    }
    const entry = { id: holder.container, podref: holder.podref, ifname: "net1" };
    if (!store.changeAt(version, String(address), entry)) continue;
    yield;
    if (found !== undefined) return address;
    return store.create(address, holder, false) === undefined ? undefined : address;
  }
  return undefined;
}

/** Finds its entry by container id, and deletes the reservation of that address by name, whoever's it is. */
function* del(world: World, { container, podref }: Holder): Actor {
  const { store } = world;
  for (let attempt = 0; attempt < 6; attempt++) {
    const { version } = store;
    const address = addresses.find((each) => store.entry(each)?.id === container);
    if (address === undefined) return;
    yield;
    if (!store.changeAt(version, String(address), undefined)) continue;
    yield;
    world.goDeletes(address, podref);
    return;
  }
}

/** Deletes what no live pod's status shows: entries of the snapshot, and reservations by name. */
export function* goReconciler(world: World): Actor {
  const { store } = world;
  for (let run = 0; run < 2; run++) {
    const entries = store.entries();
    const { version } = store;
    const pods = new Map(world.pods);
    yield;
    const reservations = store.reservations();
    yield;
    const isOrphan = (podref: string, address: string): boolean =>
      pods.get(podref)?.addresses.get("net1")?.has(address) !== true;
    for (const [key, { podref }] of entries) {
      if (isOrphan(podref, `10.0.0.${key}`)) world.goRemoves(version, key, podref);
      yield;
    }
    for (const { name, podref } of reservations) {
      if (isOrphan(podref, name)) world.goDeletes(Number(name.split(".")[3]));
      yield;
    }
  }
}
