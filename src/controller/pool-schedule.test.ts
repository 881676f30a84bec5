import { expect, test } from "vitest";
import { gapAfter, type IndexTimes, PoolSchedule } from "./pool-schedule.ts";

test.each([
  { title: "a small pool", entries: 10, tookMs: 5, want: 200 },
  { title: "a large pool is left alone longer", entries: 1000, tookMs: 60, want: 350 },
  { title: "of a larger one the index stays within a second", entries: 2000, tookMs: 120, want: 700 },
  { title: "a server that takes longer leaves less of it", entries: 7000, tookMs: 350, want: 300 },
  { title: "and none at all at last", entries: 7000, tookMs: 400, want: 200 },
  { title: "one that is out of breath gets a third of what it took", entries: 7000, tookMs: 1500, want: 500 },
])("$title: $want ms after a request of $tookMs ms", ({ entries, tookMs, want }) => {
  expect(gapAfter(entries, tookMs)).toBe(want);
});

/** A time that nobody would wait out. */
const foreverMs = 3_600_000;
const never: IndexTimes = { gapMs: () => foreverMs, settleMs: foreverMs };

test("after a look at which nothing was to be written the next one does not wait for the gap", async () => {
  const stop = new AbortController();
  let runs = 0;
  const look = async () => {
    runs++;
    return { isDone: true, hasAsked: false };
  };
  const schedule = new PoolSchedule(look, stop.signal, never);
  await schedule.mark();
  await schedule.mark();
  expect(runs).toBe(2);
});

test.each([
  { isDone: true, hasAsked: true },
  { isDone: false, hasAsked: false },
])("the gap is kept after %j", async (outcome) => {
  const stop = new AbortController();
  let runs = 0;
  const write = async () => {
    runs++;
    return outcome;
  };
  const schedule = new PoolSchedule(write, stop.signal, never);
  const first = schedule.mark();
  const second = schedule.mark();
  await Bun.sleep(100);
  expect(runs).toBe(1);
  stop.abort();
  await Promise.all([first, second]);
  expect(runs).toBe(1);
});

test("what lacks something counts as settled only when it has lacked it for its time", async () => {
  const stop = new AbortController();
  const times: IndexTimes = { gapMs: () => 0, settleMs: foreverMs, entryMs: 0 };
  const schedule = new PoolSchedule(async () => ({ isDone: true, hasAsked: false }), stop.signal, times);
  const claim = { lacks: "claim", key: "1", id: "polynic:a" } as const;
  const reservation = { lacks: "reservation", key: "1" } as const;
  expect(schedule.isSettled(reservation)).toBe(false);
  schedule.waitFor([claim, reservation]);
  expect([schedule.isSettled(claim), schedule.isSettled(reservation)]).toEqual([false, false]);
});

test("the claim of an entry that its node takes out itself may be missing for longer, and anew for each such entry", () => {
  const times: IndexTimes = { gapMs: () => 0, settleMs: 0, enteredMs: foreverMs };
  const stop = new AbortController();
  const schedule = new PoolSchedule(async () => ({ isDone: true, hasAsked: false }), stop.signal, times);
  const lacking = (id: string) => ({ lacks: "claim", key: "1", id }) as const;
  schedule.waitFor([lacking("polynic:a"), lacking("polynic:a:1")]);
  const settled = ["polynic:a", "polynic:a:1", "polynic:b"].map((id) => schedule.isSettled(lacking(id)));
  expect(settled).toEqual([true, false, false]);
});
