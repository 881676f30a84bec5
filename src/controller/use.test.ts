import { expect, test } from "vitest";
import { addressesOf, type PodFacts } from "./facts.ts";
import { useOf } from "./use.ts";

const address = "10.0.0.5";
const status = (name: string, ...ips: readonly string[]) =>
  addressesOf(JSON.stringify([{ interface: name, ips: [...ips] }]));
const pod = (over: Partial<PodFacts> = {}): PodFacts => ({
  ref: "default/a",
  uid: "u",
  phase: "Running",
  isTerminating: false,
  node: "n",
  isStatic: false,
  hasSandbox: undefined,
  addresses: new Map(),
  ...over,
});

const cases: readonly (readonly [name: string, pod: PodFacts | undefined, want: ReturnType<typeof useOf>])[] = [
  ["a pod that is gone", undefined, "no"],
  ["one that has ended", pod({ phase: "Succeeded", addresses: status("net1", address) }), "no"],
  ["one that has failed", pod({ phase: "Failed" }), "no"],
  ["one that is being ended", pod({ isTerminating: true, addresses: status("net1", address) }), "leaving"],
  ["one that is being made and has told nothing", pod({ phase: "Pending", hasSandbox: false }), "yes"],
  ["one that runs and tells nothing", pod(), "yes"],
  ["one that tells the address", pod({ addresses: status("net1", address) }), "yes"],
  [
    "one that tells it while kubelet says that its sandbox is gone",
    pod({ hasSandbox: false, addresses: status("net1", address) }),
    "no",
  ],
  ["one whose interface has another address", pod({ addresses: status("net1", "10.0.0.6") }), "no"],
  ["one that has the address on another interface", pod({ addresses: status("net2", address) }), "no"],
];

test.each(cases)("of %s", (_, given, want) => {
  expect(useOf(given, "net1", address)).toBe(want);
});

test("an interface that nobody has noted down is any", () => {
  expect(useOf(pod({ addresses: status("net2", address) }), "", address)).toBe("yes");
});
