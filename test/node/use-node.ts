import { KubeNode } from "../kit/kube-node.ts";
import { useNode } from "../kit/use-node.ts";

/** A whole node with polynic's image, for all tests of the file; call the result inside a test to get it. Logs are kept after a failure. */
export function useKubeNode(): () => KubeNode {
  return useNode(
    () => KubeNode.start(),
    (node) => node.importPolynic(),
  );
}
