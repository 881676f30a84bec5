import { describe, expect, test } from "vitest";
import { claimMetadata, indexId, ownerAnnotation, releaseAfter } from "../pool/claim.ts";
import type { IpPool, Reservation } from "../pool/objects.ts";
import { addressesOf, type NodeFacts, type PodFacts } from "./facts.ts";
import { addressInName, holdingsOf } from "./holding.ts";
import { Scans } from "./scans.ts";
import { findSuspects } from "./verdict.ts";
import { formatIp } from "../ip/address.ts";

const pod = (name: string, over: Partial<PodFacts> = {}): PodFacts => ({
  ref: `default/${name}`,
  uid: `uid-${name}`,
  phase: "Running",
  isTerminating: false,
  node: "node-1",
  isStatic: false,
  hasSandbox: undefined,
  addresses: new Map(),
  ...over,
});
const node = (name: string, over: Partial<NodeFacts> = {}): NodeFacts => ({
  name,
  uid: name,
  isReady: true,
  isOutOfService: false,
  ...over,
});
const status = (...ips: string[]) => addressesOf(JSON.stringify([{ interface: "net1", ips }]));

const reservation = (name: string, podName: string, over: Partial<Reservation> = {}): Reservation => ({
  name,
  uid: `r-${name}`,
  resourceVersion: "1",
  labels: {},
  annotations: {},
  finalizers: [],
  createdAt: "2026-01-01T00:00:00Z",
  isTerminating: false,
  podref: `default/${podName}`,
  containerId: "",
  ifName: "net1",
  ...over,
});

const claim = (address: string, podName: string, over: Partial<Reservation> = {}): Reservation => {
  const facts = {
    pool: "10.0.0.0-24",
    range: "10.0.0.0/24",
    address,
    node: "node-1",
    podUid: `uid-${podName}`,
    ifName: "net1",
  };
  const { labels, annotations } = claimMetadata(facts, `c-${address}`);
  return reservation(address, podName, {
    labels,
    containerId: `c-${address}`,
    ...over,
    annotations: { ...annotations, [ownerAnnotation]: "o", ...over.annotations },
  });
};

const pool = (entries: Readonly<Record<string, string>>): IpPool => ({
  name: "10.0.0.0-24",
  range: "10.0.0.0/24",
  uid: "p",
  resourceVersion: "1",
  annotations: {},
  allocations: Object.fromEntries(
    Object.entries(entries).map(([key, name]) => [key, { id: `go-${key}`, podref: `default/${name}`, ifname: "net1" }]),
  ),
});

interface Row {
  readonly name: string;
  readonly holdings: readonly (Reservation | IpPool)[];
  readonly pods?: readonly PodFacts[];
  readonly nodes?: readonly NodeFacts[] | "unknown";
  /** Reasons of the suspects. */
  readonly want: readonly string[];
}

const rows: readonly Row[] = [
  { name: "a claim of a pod that runs", holdings: [claim("10.0.0.5", "a")], pods: [pod("a")], want: [] },
  { name: "a claim of a pod that is gone", holdings: [claim("10.0.0.5", "a")], want: ["pod default/a is gone"] },
  {
    name: "of a pod that is gone on a node that does not answer: it may run on (force-deleted StatefulSets)",
    holdings: [claim("10.0.0.5", "a")],
    nodes: [node("node-1", { isReady: false })],
    want: [],
  },
  {
    name: "on a node that an administrator has declared out of service",
    holdings: [claim("10.0.0.5", "a")],
    nodes: [node("node-1", { isReady: false, isOutOfService: true })],
    want: ["pod default/a is gone"],
  },
  {
    name: "on a node that is gone too (WHEREABOUTS 75)",
    holdings: [claim("10.0.0.5", "a")],
    nodes: [],
    want: ["pod default/a is gone, and so is node node-1"],
  },
  {
    name: "of a pod that is still there on a node that is gone",
    holdings: [claim("10.0.0.5", "a")],
    pods: [pod("a")],
    nodes: [],
    want: [],
  },
  {
    name: "of a pod whose name another one bears (WHEREABOUTS 176)",
    holdings: [claim("10.0.0.5", "a")],
    pods: [pod("a", { uid: "other" })],
    want: ["pod default/a is another one now"],
  },
  {
    name: "of a static pod, whose uid in the API is another one",
    holdings: [claim("10.0.0.5", "a")],
    pods: [pod("a", { uid: "mirror", isStatic: true })],
    want: [],
  },
  {
    name: "of a pod that has ended (WHEREABOUTS 550)",
    holdings: [claim("10.0.0.5", "a"), claim("10.0.0.6", "b")],
    pods: [pod("a", { phase: "Succeeded" }), pod("b", { phase: "Failed", hasSandbox: false })],
    want: ["pod default/a has ended (Succeeded)", "pod default/b has ended (Failed)"],
  },
  {
    name: "of a pod that has ended, and whose sandbox stands",
    holdings: [claim("10.0.0.5", "a")],
    pods: [pod("a", { phase: "Succeeded", hasSandbox: true })],
    want: [],
  },
  {
    name: "of a pod that has been pending for long, without a status (WHEREABOUTS 162, 207)",
    holdings: [claim("10.0.0.5", "a"), pool({ "6": "a" })],
    pods: [pod("a", { phase: "Pending" })],
    want: [],
  },
  {
    name: "of a pod whose status says something else: text alone proves nothing",
    holdings: [claim("10.0.0.5", "a"), pool({ "6": "b" })],
    pods: [pod("a", { addresses: status("10.9.9.9") }), pod("b", { addresses: status("10.9.9.9") })],
    want: [],
  },
  {
    name: "of a pod whose default network has them: its status tells of it alone (WHEREABOUTS 638)",
    holdings: [claim("10.0.0.5", "a"), pool({ "6": "b" }), reservation("10.0.0.6", "b")],
    pods: [
      pod("a", { addresses: addressesOf(JSON.stringify([{ interface: "eth0", default: true, ips: ["10.0.0.5"] }])) }),
      pod("b", { addresses: addressesOf(JSON.stringify([{ interface: "eth0", default: true, ips: ["10.0.0.6"] }])) }),
    ],
    want: [],
  },
  {
    name: "the older of two claims of an interface, by what the status shows",
    holdings: [claim("10.0.0.5", "a"), claim("10.0.0.6", "a", { createdAt: "2026-01-02T00:00:00Z" })],
    pods: [pod("a", { addresses: status("10.0.0.6") })],
    want: ["pod default/a has 10.0.0.6 on net1 now"],
  },
  {
    name: "the newer of two claims: the status may be the last sandbox's",
    holdings: [claim("10.0.0.5", "a"), claim("10.0.0.6", "a", { createdAt: "2026-01-02T00:00:00Z" })],
    pods: [pod("a", { addresses: status("10.0.0.5") })],
    want: [],
  },
  {
    name: "the older of two, while a new sandbox is being made",
    holdings: [claim("10.0.0.5", "a"), claim("10.0.0.6", "a", { createdAt: "2026-01-02T00:00:00Z" })],
    pods: [pod("a", { addresses: status("10.0.0.6"), hasSandbox: false })],
    want: [],
  },
  {
    name: "two addresses that an interface has from two families",
    holdings: [claim("10.0.0.5", "a"), claim("fd00::5", "a")],
    pods: [pod("a", { addresses: status("10.0.0.5") })],
    want: [],
  },
  {
    name: "an entry of whereabouts whose pod is gone, where nodes can't be read (WHEREABOUTS 546)",
    holdings: [pool({ "5": "a", "6": "b" })],
    pods: [pod("b")],
    nodes: "unknown",
    want: ["pod default/a is gone"],
  },
  {
    name: "a reservation of whereabouts whose entry is missing, of a pod that uses it (WHEREABOUTS 712)",
    holdings: [reservation("10.0.0.5", "a")],
    pods: [pod("a", { addresses: status("10.0.0.5") })],
    want: [],
  },
  {
    name: "a reservation of whereabouts that no pool knows of, of a pod that uses another address",
    holdings: [reservation("10.0.0.5", "a"), reservation("10.0.0.6", "a"), pool({ "6": "a" })],
    pods: [pod("a", { addresses: status("10.0.0.6") })],
    want: ["pod default/a has 10.0.0.6 on net1 now"],
  },
  {
    name: "a reservation of a named network, of a pod that is gone",
    holdings: [reservation("blue-10.0.0.5", "a")],
    want: ["pod default/a is gone"],
  },
  {
    name: "reservations of a named network, of a pod that runs: Go's reconciler deletes all of them",
    holdings: [reservation("blue-fd00--5", "a")],
    pods: [pod("a", { addresses: status("fd00::5") })],
    want: [],
  },
  {
    name: "an address that was given back and has rested",
    holdings: [claim("10.0.0.5", "a", { annotations: releaseAfter(new Date(0)) })],
    pods: [pod("a")],
    want: ["its attachment is gone, and its time of rest is over"],
  },
  {
    name: "a claim of a container that is no pod's",
    holdings: [claim("10.0.0.5", "a", { podref: "/" })],
    want: [],
  },
  {
    name: "an entry that only shows a claim",
    holdings: [{ ...pool({}), allocations: { "5": { id: indexId("c"), podref: "default/a", ifname: "net1" } } }],
    want: [],
  },
];

test.each(rows)("$name", ({ holdings, pods = [], nodes = [node("node-1")], want }) => {
  const pools = holdings.filter((each): each is IpPool => "allocations" in each);
  const reservations = holdings.filter((each): each is Reservation => "podref" in each);
  const evidence = {
    pods: new Map(pods.map((each) => [each.ref, each])),
    nodes: nodes === "unknown" ? undefined : new Map(nodes.map((each) => [each.name, each])),
  };
  const suspects = findSuspects(holdingsOf(pools, reservations), evidence);
  expect(suspects.map(({ reason }) => reason)).toEqual(want);
});

describe("two scans", () => {
  const suspects = (uid: string, isCertain = false) =>
    holdingsOf([], [claim("10.0.0.5", "a", { uid })]).map((holding) => ({ holding, reason: "", isCertain }));

  test("have to agree, a minute apart", () => {
    const scans = new Scans();
    expect(scans.confirm(suspects("1"), 0)).toHaveLength(0);
    expect(scans.confirm(suspects("1"), 30_000)).toHaveLength(0);
    expect(scans.confirm(suspects("1"), 60_000)).toHaveLength(1);
  });

  test("have to see the same object", () => {
    const scans = new Scans();
    scans.confirm(suspects("1"), 0);
    expect(scans.confirm(suspects("2"), 60_000)).toHaveLength(0);
    expect(scans.confirm(suspects("2"), 120_000)).toHaveLength(1);
  });

  test("begin anew after one that saw nothing wrong", () => {
    const scans = new Scans();
    scans.confirm(suspects("1"), 0);
    scans.confirm([], 30_000);
    expect(scans.confirm(suspects("1"), 60_000)).toHaveLength(0);
  });

  test("are not needed for what was given back", () => {
    expect(new Scans().confirm(suspects("1", true), 0)).toHaveLength(1);
  });
});

test.each([
  ["10.0.0.5", "10.0.0.5"],
  ["blue-10.0.0.5", "10.0.0.5"],
  ["fd00--5", "fd00::5"],
  ["fd00--0", "fd00::"],
  ["blue-2001-db8--1", "2001:db8::1"],
  ["my-net-1-10.0.0.5", "10.0.0.5"],
  ["nothing", undefined],
])("the address in the name %s", (name, want) => {
  const ip = addressInName(name);
  expect(ip && formatIp(ip)).toBe(want);
});
