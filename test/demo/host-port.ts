// A port of a node that leads to a pod, proven by conversations over TCP.
import type { PodReport } from "../../src/play/report.ts";
import { type Place, ask, EchoServer } from "../kit/traffic.ts";
import type { DemoNode } from "./lan.ts";

/** Whoever asks, and where; `from` is for people. */
export interface PortQuestion {
  readonly from: string;
  readonly asker: Place;
  readonly address: string;
  readonly port: number;
}

/** From the other node, from another pod of the same node if there is one, and from the node itself by two of its addresses. */
export function questionsOf(port: number, node: DemoNode, other: DemoNode, neighbour?: PodReport): PortQuestion[] {
  return [
    { from: other.name, asker: { path: other.netns }, address: node.address, port },
    ...(neighbour === undefined
      ? []
      : [{ from: `pod ${neighbour.name}`, asker: { path: neighbour.netns }, address: node.address, port }]),
    { from: node.name, asker: { path: node.netns }, address: node.address, port },
    { from: node.name, asker: { path: node.netns }, address: "127.0.0.1", port },
  ];
}

/** What came of it over TCP: the server's name and whom it saw, "refused", or "nothing". */
export function askPort({ asker, address, port }: PortQuestion): string {
  return ask(asker, { protocol: "tcp", address, port });
}

/** A server in the pod that says its name, and by whom it was asked. It ends with the returned object. */
export async function serveIn({ name, netns }: PodReport, port: number): Promise<Disposable> {
  return await EchoServer.start({ path: netns }, name, port);
}
