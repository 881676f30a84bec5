import { CriNode } from "../kit/cri-node.ts";
import { useNode } from "../kit/use-node.ts";

/** A node with containerd for all tests of the file; call the result inside a test to get it. After a failure its logs are kept. */
export function useCriNode(): () => CriNode {
  return useNode(
    () => new CriNode(),
    (node) => node.start(),
  );
}
