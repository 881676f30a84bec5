import { afterAll, afterEach, beforeAll } from "vitest";
import { KubeNode } from "../kit/kube-node.ts";

/** A whole node with polynic's image, for all tests of the file; call the result inside a test to get it. Logs are kept after a failure. */
export function useKubeNode(): () => KubeNode {
  let node: KubeNode | undefined;
  beforeAll(async () => {
    node = await KubeNode.start();
    await node.importPolynic();
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
