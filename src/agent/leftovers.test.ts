import { expect, test } from "vitest";
import { loggerTo } from "../log/logger.ts";
import { Leftovers } from "./leftovers.ts";

test("work begins when it is told to, in the order in which it was added, and is counted until it has ended", async () => {
  const leftovers = new Leftovers();
  const begun: number[] = [];
  const ends = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  for (const [index, { promise }] of ends.entries()) {
    leftovers.add(async () => {
      begun.push(index);
      await promise;
    });
  }
  expect([begun, leftovers.size]).toEqual([[], 0]);
  leftovers.begin();
  expect([begun, leftovers.size]).toEqual([[0, 1], 2]);
  leftovers.begin();
  expect(leftovers.size).toBe(2);
  ends[0]?.resolve();
  await Bun.sleep(0);
  expect(leftovers.size).toBe(1);
  ends[1]?.resolve();
  const lines: string[] = [];
  await leftovers.settle(
    60_000,
    loggerTo("error", ({ message }) => lines.push(message)),
  );
  expect([leftovers.size, lines]).toEqual([0, []]);
});

test("what does not end in time is left, and told", async () => {
  const leftovers = new Leftovers();
  leftovers.add(() => new Promise(() => {}));
  leftovers.begin();
  const lines: string[] = [];
  await leftovers.settle(
    10,
    loggerTo("error", ({ message }) => lines.push(message)),
  );
  expect(lines).toEqual(["calls whose events were not delivered within 0.01 s: 1"]);
});
