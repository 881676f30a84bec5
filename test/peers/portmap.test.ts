// Port mappings of the Go plugin and of ours, by what comes of packets: the same conversations take place and fail, and each side's rules are
// found, checked and deleted by the other.
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { callCni, polynicBin } from "../kit/cni-caller.ts";
import type { PinnedNetns } from "../kit/node-netns.ts";
import { peerTools } from "../kit/peer-tools.ts";
import { addresses, both, type Mapping, PortSite, type SitePod } from "../kit/port-site.ts";
import { askAll, type Protocol, type Question } from "../kit/traffic.ts";
import { describeCases } from "./describe-cases.ts";
import type { ExpectedDifference } from "./compare.ts";

const { node4, node6, other4, client4, client6, stranger4 } = addresses;
const servedPorts = [80, 81];
/** A question that nobody answers takes its time, and each case has some. */
const caseTimeoutMs = 240_000;

interface Case {
  readonly name: string;
  readonly mappings: readonly Mapping[];
  /** Keys of the config. */
  readonly own?: object;
  /** A second pod's, added after the first. */
  readonly second?: readonly Mapping[];
  /** IP versions that the pods' results have; both when undefined. */
  readonly families?: readonly (4 | 6)[];
  /** Conversations in which ours differs on purpose: "who → address:port/protocol: theirs | ours". */
  readonly expected?: readonly ExpectedDifference[];
  /** Ours does not pass the Go plugin's CHECK, which counts rules. */
  readonly failsTheirCheck?: boolean;
}

interface Side extends Disposable {
  readonly site: PortSite;
  readonly a: SitePod;
  readonly b: SitePod;
}

async function makeSide(bin: string): Promise<Side> {
  const site = new PortSite(bin);
  const [a, b] = [await site.pod("a", ...servedPorts), await site.pod("b", ...servedPorts)];
  return { site, a, b, [Symbol.dispose]: () => site[Symbol.dispose]() };
}

let theirs: Side;
let ours: Side;
beforeAll(async () => {
  theirs = await makeSide(peerTools().bin);
  ours = await makeSide(polynicBin);
});
afterAll(() => {
  theirs[Symbol.dispose]();
  ours[Symbol.dispose]();
});

afterEach(() => {
  // What a failed case has left must not make the next ones fail.
  for (const { site } of [theirs, ours]) site.node.run("nft", "flush", "ruleset");
});

/** The pod's result with addresses of these IP versions alone. */
function resultFor({ result }: SitePod, families: readonly (4 | 6)[] = [4, 6]): object {
  const { ips, ...rest } = result as { ips: { address: string }[] };
  return { ...rest, ips: ips.filter(({ address }) => families.includes(address.includes(":") ? 6 : 4)) };
}

async function call(side: Side, command: string, subject: Case, pod: "a" | "b", bin = side.site.bin): Promise<string> {
  const mappings = pod === "a" ? subject.mappings : subject.second;
  const own = { prevResult: resultFor(side[pod], subject.families), ...subject.own };
  const { exitCode, stdout } = await callCni({
    ...side.site.portmap(side[pod], command, mappings, own),
    executable: join(bin, "portmap"),
  });
  return exitCode === 0 ? "" : stdout;
}

/** Who asks what on a side. */
type Conversation = (side: Side) => readonly [PinnedNetns, Question];

/** Every conversation that may matter for the case, by what it is. */
function conversations({ mappings, second = [] }: Case): Map<string, Conversation> {
  const ports = [...new Set([...mappings, ...second].map(({ hostPort }) => hostPort))];
  const some = ports.length > 3 ? [ports[0] ?? 0, ports.at(-1) ?? 0] : ports;
  const askers: [string, (side: Side) => PinnedNetns, string[]][] = [
    ["client", ({ site }) => site.client, [node4, node6, other4]],
    ["stranger", ({ site }) => site.stranger, [node4, node6]],
    ["node", ({ site }) => site.node, [node4, node6, "127.0.0.1"]],
    ["pod a", ({ a }) => a.netns, [node4, node6]],
    ["pod b", ({ b }) => b.netns, [node4, node6]],
  ];
  const all = new Map<string, Conversation>();
  for (const [who, from, targets] of askers) {
    for (const address of targets) {
      for (const port of who.startsWith("pod") ? some.slice(0, 1) : some) {
        for (const protocol of ["tcp", "udp"] satisfies Protocol[])
          all.set(`${who} → ${address}:${port}/${protocol}`, (side) => [from(side), { protocol, address, port }]);
      }
    }
  }
  return all;
}

/** Where the two sides differ. A question that may just have been lost is asked again, unless the answer is one that was expected. */
function differences(subject: Case, expected: readonly ExpectedDifference[] = []): string[] {
  const lines: string[] = [];
  let open = conversations(subject);
  for (const attempts of [1, 3]) {
    const differing = new Map<string, Conversation>();
    for (const [name, conversation, line] of compared(open, attempts)) {
      const isExpected = expected.some((each) => each.line.test(line));
      if (isExpected || attempts > 1) lines.push(line);
      else differing.set(name, conversation);
    }
    open = differing;
  }
  return lines;
}

/** Those that end otherwise on one side than on the other, and how. */
function compared(all: ReadonlyMap<string, Conversation>, attempts: number): [string, Conversation, string][] {
  const answersOf = (side: Side) =>
    askAll(
      [...all.values()].map((conversation) => conversation(side)),
      attempts,
    );
  const [them, us] = [answersOf(theirs), answersOf(ours)];
  return [...all].flatMap(([name, conversation], index) =>
    them[index] === us[index] ? [] : [[name, conversation, `${name}: ${them[index]} | ${us[index]}`]],
  );
}

/** Rules and chains of pods on the node. */
function left({ site }: Side): string[] {
  const text = site.node.run(
    "sh",
    "-c",
    "nft list ruleset 2>/dev/null | grep -E 'CNI-DN-|dnat|comment \"[ab]\"' || true",
  );
  return text.split("\n").filter((line) => line !== "");
}

/** Theirs has rules for masquerading, and wants them, for a pod's address that no mapping leads to as well. */
function hasEveryFamily({ mappings, families = [4, 6] }: Case): boolean {
  const isFor = ({ hostIP }: Mapping, family: 4 | 6) => hostIP === undefined || hostIP.includes(":") === (family === 6);
  return families.every((family) => mappings.some((mapping) => isFor(mapping, family)));
}

/** Takes away what both sides have, each by the plugin in `bin`. */
async function clear(subject: Case, binOf: (side: Side) => string): Promise<void> {
  for (const side of [theirs, ours]) {
    for (const pod of ["a", "b"] as const) expect(await call(side, "DEL", subject, pod, binOf(side))).toBe("");
    expect(left(side)).toEqual([]);
  }
}

function describePortmaps(
  backend: "iptables" | "nftables",
  cases: readonly Case[],
  common: readonly ExpectedDifference[] = [],
): void {
  describe(`portmap by ${backend}`, () => {
    test.each(cases.map((subject) => [subject.name, subject] as const))(
      "%s",
      { timeout: caseTimeoutMs },
      async (_, given) => {
        const subject = { ...given, own: { backend, ...given.own } };
        const pods = subject.second === undefined ? (["a"] as const) : (["a", "b"] as const);
        for (const side of [theirs, ours])
          for (const pod of pods) expect(await call(side, "ADD", subject, pod)).toBe("");
        const expected = [...(subject.expected ?? []), ...common];
        const lines = differences(subject, expected);
        expect(lines.filter((line) => !expected.some((each) => each.line.test(line)))).toEqual([]);
        expect((subject.expected ?? []).filter((each) => !lines.some((line) => each.line.test(line)))).toEqual([]);
        for (const pod of pods) {
          expect(await call(ours, "CHECK", subject, pod)).toBe("");
          expect(await call(theirs, "CHECK", subject, pod, polynicBin)).toBe("");
          if (backend === "nftables" && subject.failsTheirCheck !== true && hasEveryFamily(subject))
            expect(await call(ours, "CHECK", subject, pod, peerTools().bin)).toBe("");
        }
        // Each side's rules are taken away by the other.
        await clear(subject, (side) => (side === ours ? peerTools().bin : polynicBin));
        expect(differences(subject)).toEqual([]);
        // And once more by itself.
        for (const side of [theirs, ours])
          for (const pod of pods) expect(await call(side, "ADD", subject, pod)).toBe("");
        await clear(subject, (side) => side.site.bin);
      },
    );
  });
}

const tcp = (hostPort: number, containerPort = 80): Mapping => ({ hostPort, containerPort, protocol: "tcp" });
const udp = (hostPort: number, containerPort = 80): Mapping => ({ hostPort, containerPort, protocol: "udp" });

const shared: readonly Case[] = [
  { name: "one TCP port", mappings: [tcp(8080)] },
  { name: "one UDP port", mappings: [udp(8080)] },
  { name: "the same port for TCP and UDP, to different ports", mappings: [tcp(8080, 80), udp(8080, 81)] },
  { name: "a port that is the pod's own", mappings: both(80, 80) },
  { name: "two ports to one", mappings: [...both(8080, 80), ...both(8081, 80)] },
  { name: "twenty ports", mappings: Array.from({ length: 20 }, (_, n) => tcp(8080 + n, 80 + (n % 2))) },
  { name: "sixteen UDP ports", mappings: Array.from({ length: 16 }, (_, n) => udp(8080 + n)) },
  { name: "one IPv4 address of the node", mappings: both(8080, 80, other4) },
  { name: "one IPv6 address of the node", mappings: both(8080, 80, node6) },
  { name: "an address that the node does not have", mappings: both(8080, 80, "198.51.100.1") },
  { name: "all IPv4 addresses", mappings: both(8080, 80, "0.0.0.0") },
  { name: "all IPv6 addresses", mappings: both(8080, 80, "::") },
  {
    name: "addresses of both versions and none",
    mappings: [...both(8080, 80, other4), ...both(8081, 80, node6), ...both(8082, 81)],
  },
  { name: "a pod with IPv4 only", mappings: both(8080, 80), families: [4] },
  { name: "a pod with IPv6 only", mappings: both(8080, 80), families: [6] },
  { name: "an IPv6 address of the node and a pod with IPv4 only", mappings: both(8080, 80, node6), families: [4] },
  { name: "without snat", mappings: both(8080, 80), own: { snat: false } },
  { name: "without snat, on one address", mappings: both(8080, 80, node4), own: { snat: false } },
  { name: "two pods on two ports", mappings: both(8080, 80), second: both(8081, 81) },
  { name: "two pods on one port: the first has it", mappings: both(8080, 80), second: both(8080, 81) },
  { name: "two pods on one port of two addresses", mappings: both(8080, 80, node4), second: both(8080, 81, other4) },
  {
    name: "two pods on one port, one of them for one address",
    mappings: both(8080, 80, other4),
    second: both(8080, 81),
  },
  { name: "another bit of the mark", mappings: both(8080, 80), own: { markMasqBit: 5 } },
];

describePortmaps("iptables", [
  ...shared,
  { name: "by default", mappings: both(8080, 80), own: { backend: undefined } },
  { name: "with masqAll", mappings: both(8080, 80), own: { masqAll: true } },
  { name: "with masqAll, on one address", mappings: both(8080, 80, node4), own: { masqAll: true } },
  { name: "masqAll without snat is nothing", mappings: both(8080, 80), own: { masqAll: true, snat: false } },
  { name: "not from one address", mappings: both(8080, 80), own: { conditionsV4: ["!", "-s", stranger4] } },
  {
    name: "from one address of each version",
    mappings: both(8080, 80),
    own: { conditionsV4: ["-s", client4], conditionsV6: ["-s", client6] },
  },
  {
    name: "from one interface",
    mappings: both(8080, 80),
    own: { conditionsV4: ["-i", "eth0"], conditionsV6: ["!", "-i", "br-pods"] },
  },
  { name: "not to one address", mappings: both(8080, 80), own: { conditionsV4: ["!", "-d", other4] } },
  {
    name: "from ports of clients",
    mappings: [tcp(8080)],
    own: { conditionsV4: ["-m", "tcp", "--sport", "1024:65535"] },
    families: [4],
  },
  {
    name: "with another match and its comment",
    mappings: both(8080, 80),
    own: { conditionsV4: ["-m", "mark", "!", "--mark", "0x10", "-m", "comment", "--comment", `why "not"`] },
  },
]);

/** Upstream masquerades only what a pod sends to itself: an answer to another pod of the bridge goes there straight, from the wrong address. */
const sameBridge: ExpectedDifference = {
  line: /^pod [ab] → \S+: nothing \| [ab] (?:10\.88\.0\.1|fd00:88::1)$/,
  reason: "pods of one bridge reach each other's host ports",
};

describePortmaps(
  "nftables",
  [
    ...shared,
    {
      name: "with masqAll, which 1.9.1 does not know here",
      mappings: both(8080, 80),
      own: { masqAll: true },
      failsTheirCheck: true,
      expected: [
        {
          line: /^(?:client|stranger|node) → \S+: a \S+ \| a (?:10\.88\.0\.1|fd00:88::1)$/,
          reason: "masqAll is honoured",
        },
      ],
    },
    { name: "masqAll without snat is nothing", mappings: both(8080, 80), own: { masqAll: true, snat: false } },
    { name: "not from one address", mappings: both(8080, 80), own: { conditionsV4: ["ip", "saddr", "!=", stranger4] } },
    {
      name: "from one address of each version",
      mappings: both(8080, 80),
      own: { conditionsV4: ["ip", "saddr", client4], conditionsV6: ["ip6", "saddr", client6] },
    },
    {
      name: "from a set",
      mappings: both(8080, 80),
      own: { conditionsV4: ["ip saddr { 198.51.100.0/24, 192.0.2.0/30 }"] },
    },
    {
      name: "not from a set of addresses and ranges",
      mappings: both(8080, 80),
      own: {
        conditionsV4: ["ip", "saddr", "!=", "{", "192.0.2.3-192.0.2.8,", "10.0.0.1", "}"],
        conditionsV6: ["ip6 saddr != { 2001:db8::3, fd00::/64 }"],
      },
    },
    { name: "not to one address", mappings: both(8080, 80), own: { conditionsV4: ["ip", "daddr", "!=", other4] } },
    {
      name: "from one interface",
      mappings: both(8080, 80),
      own: { conditionsV4: ["iifname", "eth0"], conditionsV6: ['iifname != "br-pods"'] },
    },
    { name: "from interfaces by a wildcard", mappings: both(8080, 80), own: { conditionsV4: ["iifname", "eth*"] } },
    {
      name: "from ports of clients",
      mappings: [tcp(8080)],
      own: { conditionsV4: ["tcp", "sport", "1024-65535"], conditionsV6: ["tcp sport { 1-10, 20 }"] },
    },
    {
      name: "of TCP alone",
      mappings: both(8080, 80),
      own: { conditionsV4: ["meta", "l4proto", "tcp"] },
      families: [4] as const,
      failsTheirCheck: true,
    },
    {
      name: "without a mark",
      mappings: both(8080, 80),
      own: { conditionsV4: ["meta mark & 0x10 == 0"], conditionsV6: ["mark != 0x10"] },
    },
    {
      name: "of new connections",
      mappings: both(8080, 80),
      own: { conditionsV4: ["ct", "state", "new"], conditionsV6: ["ct state new,related"] },
    },
  ],
  [sameBridge],
);

const config = (own: object = {}, cniVersion = "1.1.0") => ({
  cniVersion,
  name: "pods",
  type: "portmap",
  runtimeConfig: { portMappings: [tcp(8080)] },
  prevResult: {
    cniVersion,
    ips: [{ ...(cniVersion < "1" ? { version: "4" } : {}), address: "10.1.2.2/24" }],
    dns: { domain: "example.test" },
  },
  ...own,
});
const mapping = (own: object) => ({ runtimeConfig: { portMappings: [{ ...tcp(8080), ...own }] } });
const honest: ExpectedDifference = { line: /answer \/ code: peer has 999, ours has 7$/, reason: "honest code" };
const refused = [{ command: "ADD", code: 999 }];
const refusals: readonly [string, object][] = [
  ["a host port of 0", mapping({ hostPort: 0 })],
  ["a host port below 0", mapping({ hostPort: -1 })],
  ["a container port of 0", mapping({ containerPort: 0 })],
  ["a container port that is missing", { runtimeConfig: { portMappings: [{ hostPort: 80, protocol: "tcp" }] } }],
  ["a mark beyond 32 bits", { markMasqBit: 32 }],
  ["a negative mark", { markMasqBit: -1 }],
  ["a mark and a chain that sets one", { markMasqBit: 5, externalSetMarkChain: "KUBE-MARK-MASQ" }],
  ["an unknown back end", { backend: "ebtables" }],
  ["nftables with conditions of iptables", { backend: "nftables", conditionsV4: ["-s", "10.0.0.1"] }],
  [
    "nftables with a chain that sets marks",
    { backend: "nftables", externalSetMarkChain: "X", conditionsV6: ["!", "-s", "::1"] },
  ],
  [
    "iptables with conditions of nftables",
    { backend: "iptables", conditionsV4: ["ip", "saddr", "10.0.0.1"], conditionsV6: ["ip6", "saddr", "::1"] },
  ],
  ["conditions of both", { conditionsV4: ["-s", "10.0.0.1"], conditionsV6: ["ip6", "saddr", "::1"] }],
];

describeCases("portmap answers", [
  ...["0.3.1", "0.4.0", "1.0.0", "1.1.0"].map((version) => ({
    name: `without mappings, in version ${version}`,
    plugin: "portmap",
    config: config({ runtimeConfig: {} }, version),
    steps: [{ command: "ADD", hasPrevResult: false }, { command: "DEL" }],
  })),
  {
    name: "CHECK without mappings",
    plugin: "portmap",
    config: config({ runtimeConfig: { portMappings: [] } }),
    steps: [{ command: "CHECK", hasPrevResult: false }],
  },
  {
    name: "ADD without a previous result",
    plugin: "portmap",
    config: config({ prevResult: undefined }),
    steps: refused,
    expected: [honest],
  },
  ...refusals.map(([name, own]) => ({
    name,
    plugin: "portmap",
    config: config(own),
    steps: refused,
    expected: [honest],
  })),
]);
