import * as fc from "fast-check";
import { expect, test } from "vitest";
import { mapBounded } from "./bounded.ts";

test("results come in the items' order, and never more than the bound are at work", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(5)), fc.integer({ min: 1, max: 10 }), async (turns, bound) => {
      let working = 0;
      let most = 0;
      const results = await mapBounded(turns, bound, async (count) => {
        most = Math.max(most, ++working);
        for (let turn = 0; turn < count; turn++) await Promise.resolve();
        working--;
        return count * 2;
      });
      expect(results).toEqual(turns.map((count) => count * 2));
      expect(most).toBeLessThanOrEqual(Math.min(bound, turns.length));
    }),
  );
});

test("a rejection rejects", async () => {
  const work = async (item: number): Promise<number> => {
    if (item === 2) throw new Error("two");
    return item;
  };
  await expect(mapBounded([1, 2, 3], 2, work)).rejects.toThrow("two");
});
