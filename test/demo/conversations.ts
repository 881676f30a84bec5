// Who should reach whom: every pair of pods over every network that both are on.
import { networkOf, parsePrefix, formatPrefix } from "../../src/ip/prefix.ts";
import type { PodReport } from "../../src/play/report.ts";

/** A pod and the node it runs on. */
export interface PlacedPod {
  readonly node: string;
  readonly pod: PodReport;
}

/** One ping to come. */
export interface Conversation {
  readonly from: PodReport;
  readonly to: PodReport;
  /** Name of the network for people: "default network of node-1", "10.60.0.0/24". */
  readonly network: string;
  /** Where the other pod is reached. */
  readonly address: string;
}

const defaultInterface = "eth0";

/**
 * All conversations, both ways. Pods share a network when both have an address in the same prefix; the default networks of two nodes are
 * strangers even when their prefixes are equal.
 */
export function conversations(pods: readonly PlacedPod[]): Conversation[] {
  return pods.flatMap((from) =>
    pods
      .filter((to) => to !== from)
      .flatMap((to) => {
        const mine = new Set(placesOf(from).map(({ network }) => network));
        return placesOf(to)
          .filter(({ network }) => mine.has(network))
          .map(({ network, address }) => ({ from: from.pod, to: to.pod, network, address }));
      }),
  );
}

interface Place {
  readonly network: string;
  readonly address: string;
}

function placesOf({ node, pod }: PlacedPod): Place[] {
  return pod.interfaces.flatMap(({ interface: name, addresses }) =>
    addresses.map((text) => {
      const prefix = parsePrefix(text);
      if (prefix === undefined)
        throw new TypeError(`${name} of ${pod.name} has an address that does not parse: ${text}`);
      const network = name === defaultInterface ? `default network of ${node}` : formatPrefix(networkOf(prefix));
      return { network, address: text.slice(0, text.indexOf("/")) };
    }),
  );
}
