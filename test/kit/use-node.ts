import { afterAll, afterEach, beforeAll } from "vitest";

/** A node with a container runtime. */
interface Node extends AsyncDisposable {
  /** Where its logs were put, out of the lane's way. */
  keepLogs(): string;
}

/**
 * A node for all tests of the file, made and then got ready; call the result inside a test to get it. After a failure its logs are kept.
 */
export function useNode<T extends Node>(make: () => T | Promise<T>, getReady: (node: T) => Promise<unknown>): () => T {
  let node: T | undefined;
  beforeAll(async () => {
    node = await make();
    await getReady(node);
  });
  afterEach(({ task }) => {
    if (task.result?.state === "fail")
      process.stdout.write(`polynic: the logs of the node are in ${node?.keepLogs()}\n`);
  });
  afterAll(async () => await node?.[Symbol.asyncDispose]());
  return () => {
    if (node === undefined)
      throw new Error("only a test or a later hook may ask for it: it is made before the first test");
    return node;
  };
}
