// Claims, releases, kills, lost and late requests, index writes, collections, and Go's own steps beside them, in as many orders as there is time for.
import { expect, test } from "vitest";
import { goApart, goReconcilerApart, ourApart } from "./ipam-model/apart.ts";
import { collector, indexer, patientIndexer } from "./ipam-model/controller.ts";
import { goReconciler, goSandbox } from "./ipam-model/go.ts";
import { ourSandbox } from "./ipam-model/ours.ts";
import { DuplicateError, World } from "./ipam-model/world.ts";
import type { Weakening } from "./ipam-model/store.ts";

const schedules = 100_000;
/** A schedule that has not ended by then goes round in circles. */
const mostSteps = 5000;

/** One schedule: who does the next step is left to chance. Throws `DuplicateError`. The addresses given out. */
function run(seed: number, weakening: Weakening = {}): number {
  const world = new World(seed, weakening);
  const { actors } = world;
  for (let count = 2 + world.chance(3); count > 0; count--) actors.push(ourSandbox(world, world.newPod("ours")));
  for (let count = world.chance(3); count > 0; count--) actors.push(goSandbox(world, world.newPod("go")));
  actors.push(indexer(world), collector(world));
  if (world.chance(2) === 0) actors.push(goReconciler(world));
  return toTheEnd(seed, world);
}

/** As `run` where overlaps are not checked. */
function runApart(seed: number, weakening: Weakening = {}): number {
  const world = new World(seed, weakening);
  const { actors } = world;
  for (let count = 2 + world.chance(2); count > 0; count--) actors.push(ourApart(world, world.newPod("ours")));
  for (let count = world.chance(3); count > 0; count--) actors.push(goApart(world, world.newPod("go")));
  if (world.chance(3) > 0) actors.push(patientIndexer(world));
  if (world.chance(2) === 0) actors.push(goReconcilerApart(world));
  return toTheEnd(seed, world);
}

function toTheEnd(seed: number, world: World): number {
  const { actors } = world;
  for (let step = 0; actors.length > 0; step++) {
    if (step > mostSteps) throw new Error(`seed ${seed}: no end after ${mostSteps} steps`);
    const index = world.chance(actors.length);
    if (actors[index]?.next().done === true) actors.splice(index, 1);
  }
  return world.claims;
}

/** The first seed that shows a duplicate; undefined when none of so many does. */
function firstDuplicate(count: number, weakening: Weakening, schedule = run): number | undefined {
  for (let seed = 0; seed < count; seed++) {
    try {
      schedule(seed, weakening);
    } catch (error) {
      if (error instanceof DuplicateError) return seed;
      throw error;
    }
  }
  return undefined;
}

test(`no address is used twice in ${schedules} schedules`, { timeout: 600_000 }, () => {
  let claims = 0;
  for (let seed = 0; seed < schedules; seed++) claims += run(seed);
  expect(claims).toBeGreaterThan(schedules);
});

const weakenings: readonly (readonly [string, Weakening])[] = [
  ["the finalizer", { withoutFinalizer: true }],
  ["the uid precondition", { withoutUid: true }],
  ["the exclusive creation", { withoutExclusion: true }],
];

test.each(weakenings)("a duplicate is found without %s", { timeout: 600_000 }, (_, weakening) => {
  expect(firstDuplicate(schedules, weakening)).toBeDefined();
});

test(`nor in ${schedules} where overlaps are not checked`, { timeout: 600_000 }, () => {
  let claims = 0;
  for (let seed = 0; seed < schedules; seed++) claims += runApart(seed);
  expect(claims).toBeGreaterThan(schedules);
});

test.each([...weakenings, ["what tells an entry from that of an earlier ADD", { withoutTag: true }] as const])(
  "there, too, a duplicate is found without %s",
  { timeout: 600_000 },
  (_, weakening) => {
    expect(firstDuplicate(schedules, weakening, runApart)).toBeDefined();
  },
);
