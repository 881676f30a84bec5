import { afterEach, beforeEach } from "vitest";
import { BuiltinCaller } from "./builtin-caller.ts";
import type { NodeNetns, PinnedNetns } from "./node-netns.ts";

export interface FreshPod {
  readonly caller: BuiltinCaller;
  readonly pod: PinnedNetns;
}

/** Hands `use` a pod of the node, and who calls plugins for it, before each test of the file; they go after it. */
export function eachInFreshPod(node: () => NodeNetns, use: (fresh: FreshPod) => void): void {
  let fresh: FreshPod | undefined;
  beforeEach(() => {
    fresh = { caller: new BuiltinCaller(node()), pod: node().pod() };
    use(fresh);
  });
  afterEach(() => {
    fresh?.caller[Symbol.dispose]();
    fresh?.pod[Symbol.dispose]();
  });
}
