// How many parts of lanes run at the same time, and the running of them.
import { availableParallelism, totalmem } from "node:os";

/** Lanes wait about as much as they compute: for kubelet, for schedules, for a deadline that is to pass. */
const partsPerProcessor = 2;
/** What a part has of servers, guests and containers at its most. */
const memoryPerPartBytes = 2 * 2 ** 30;

/** As many as this machine's processors and memory carry; one at least. */
export function partsAtOnce(): number {
  return Math.max(1, Math.min(partsPerProcessor * availableParallelism(), Math.floor(totalmem() / memoryPerPartBytes)));
}

/** Does `work` on all of them in order, `width` at a time, and rejects with the first that does. The results are in the order of `items`. */
export async function sideBySide<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = [];
  const rest = items.entries();
  const runner = async (): Promise<void> => {
    for (const [index, item] of rest) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: width }, runner));
  return results;
}
