import { afterAll, afterEach, beforeAll } from "vitest";
import { CriNode } from "../kit/cri-node.ts";

/** A node with containerd for all tests of the file; call the result inside a test to get it. After a failure its logs are kept. */
export function useCriNode(): () => CriNode {
  let node: CriNode | undefined;
  beforeAll(async () => {
    node = new CriNode();
    await node.start();
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
