import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Case, ExpectedDifference, Site, Step } from "./compare.ts";
import { describeCases } from "./describe-cases.ts";

interface Shared {
  readonly cniVersion?: string | undefined;
  readonly args?: object;
  readonly runtimeConfig?: object;
}

/** A network whose leases are kept in the site's folder. */
function network(ipam: object, shared: Shared = {}) {
  return ({ folder }: Site) => ({
    cniVersion: "1.1.0",
    name: "pool",
    type: "any",
    ...shared,
    ipam: { type: "host-local", dataDir: folder, ...ipam },
  });
}

/** A lease that is there before the first call. */
function lease(name: string, content: string) {
  return ({ folder }: Site) => {
    mkdirSync(join(folder, "pool"), { recursive: true });
    writeFileSync(join(folder, "pool", name), content);
  };
}

const smallRange = { subnet: "192.0.2.0/29" };
const v6Range = { subnet: "2001:db8::/64" };
const small = network({ ranges: [[smallRange]] });
const dual = network({
  ranges: [[{ subnet: "192.0.2.0/24", rangeStart: "192.0.2.10" }], [v6Range]],
  routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
});

/** ADD and what follows a failed one. */
const failing: readonly Step[] = [{ command: "ADD", code: 999 }];
const addAndDel: readonly Step[] = [{ command: "ADD" }, { command: "DEL" }];

/** A config that is refused: upstream does so at DEL too. */
function refused(name: string, config: Case["config"], args?: string): Case {
  return { name: `refuses ${name}`, plugin: "host-local", config, steps: failing, ...(args !== undefined && { args }) };
}

const common: readonly ExpectedDifference[] = [
  { line: / state \/ files \/ pool\/\.polynic/, reason: "the index of holders lies beside the leases" },
  {
    line: / answer \/ code: peer has 999, ours has (4|5|7|11|50)$/,
    reason: "the specification has codes for environment, files, config, try again and exhaustion",
  },
];

const cases: readonly Case[] = [
  { name: "leases an address of each range", plugin: "host-local", config: dual },
  {
    name: "gives the next pod the next address, and an interface its own",
    plugin: "host-local",
    config: small,
    steps: [
      { command: "ADD" },
      { command: "ADD", pod: 1 },
      { command: "ADD", ifName: "net2" },
      { command: "DEL" },
      { command: "ADD", pod: 2 },
    ],
  },
  {
    name: "goes round when the end is reached",
    plugin: "host-local",
    config: network({
      ranges: [[{ subnet: "192.0.2.0/30" }, { subnet: "198.51.100.0/29", rangeEnd: "198.51.100.3" }]],
    }),
    steps: [
      ...[1, 2, 3].map((pod): Step => ({ command: "ADD", pod })),
      ...[2, 3, 1].flatMap((pod): Step[] => [
        { command: "DEL", pod },
        { command: "ADD", pod },
      ]),
    ],
  },
  {
    name: "leases by an old-style range with everything given",
    plugin: "host-local",
    config: network({
      subnet: "192.0.2.0/24",
      rangeStart: "192.0.2.254",
      rangeEnd: "192.0.2.255",
      gateway: "192.0.2.254",
      routes: [
        { dst: "198.51.100.0/24", gw: "192.0.2.1", mtu: 1300, advmss: 1260, priority: 0, table: 7, scope: 253 },
        { dst: "203.0.113.9/24" },
      ],
    }),
  },
  {
    name: "leases by old and new style and by ranges of the runtime, in that order",
    plugin: "host-local",
    config: network(
      { ...smallRange, ranges: [[v6Range]] },
      { runtimeConfig: { ipRanges: [[{ subnet: "198.51.100.0/24" }], [{ subnet: "2001:db8:1::/64" }]] } },
    ),
  },
  ...["0.1.0", "0.2.0", "0.3.0", "0.3.1", undefined].map((cniVersion) => ({
    name: `answers in version ${cniVersion ?? "none"}`,
    plugin: "host-local",
    config: network(
      { ranges: [[smallRange], [v6Range]], routes: [{ dst: "::/0", gw: "2001:db8::1", mtu: 9 }] },
      { cniVersion },
    ),
    steps: addAndDel,
  })),
  {
    name: "answers in version 0.4.0",
    plugin: "host-local",
    config: network({ ranges: [[smallRange], [v6Range]] }, { cniVersion: "0.4.0" }),
  },
  {
    name: "gives the address that CNI_ARGS ask for",
    plugin: "host-local",
    config: small,
    args: "IgnoreUnknown=1;IP=192.0.2.5",
  },
  {
    name: "gives addresses of args and of the runtime, whatever their prefix length, and goes on behind them",
    plugin: "host-local",
    config: network(
      { ranges: [[smallRange], [v6Range]] },
      { args: { cni: { ips: ["2001:DB8::77/48"] } }, runtimeConfig: { ips: ["192.0.2.5/24"] } },
    ),
    steps: [
      { command: "ADD" },
      { command: "ADD", pod: 1, config: network({ ranges: [[smallRange], [v6Range]] }) },
      { command: "DEL" },
    ],
  },
  {
    name: "copies a resolv.conf",
    plugin: "host-local",
    config: (site) => network({ ...smallRange, resolvConf: join(site.folder, "resolv.conf") })(site),
    setUp: ({ folder }) => {
      const text =
        "# x\nnameserver 192.0.2.53\n nameserver ::1\n;y\ndomain a.test\nsearch a b\nsearch c\noptions ndots:2\n";
      writeFileSync(join(folder, "resolv.conf"), text);
    },
  },
  {
    name: "refuses a second lease for the same interface",
    plugin: "host-local",
    config: small,
    steps: [{ command: "ADD" }, { command: "ADD", code: 999 }, { command: "DEL" }],
  },
  {
    name: "says when the range is used up",
    plugin: "host-local",
    config: network({ ranges: [[{ subnet: "192.0.2.0/30" }]] }),
    steps: [{ command: "ADD" }, { command: "ADD", pod: 1, code: 999 }, { command: "DEL", pod: 1 }, { command: "DEL" }],
  },
  {
    name: "gives back the first range's address when the second is used up",
    plugin: "host-local",
    config: network({ ranges: [[v6Range], [{ subnet: "192.0.2.0/30" }]] }),
    steps: [{ command: "ADD" }, { command: "ADD", pod: 1, code: 999 }, { command: "DEL" }, { command: "ADD", pod: 1 }],
  },
  {
    name: "says when a requested address is another's",
    plugin: "host-local",
    config: small,
    steps: [{ command: "ADD" }, { command: "ADD", pod: 1, args: "IP=192.0.2.2", code: 999 }, { command: "DEL" }],
  },
  refused("a request for the gateway", small, "IP=192.0.2.1"),
  refused("a request outside of all ranges, giving back what it had", dual, "IP=198.51.100.1"),
  refused("a request for something that is no address", small, "IP=192.0.2"),
  refused("unknown CNI_ARGS", small, "FOO=bar"),
  refused("CNI_ARGS that are no pairs", small, "IgnoreUnknown=1;FOO=a=b"),
  refused("a config without ipam", { cniVersion: "1.1.0", name: "pool", type: "any" }),
  refused("no range", network({})),
  refused("an empty set", network({ ranges: [[smallRange], []] })),
  refused("a range without subnet", network({ ranges: [[{ rangeStart: "192.0.2.1" }]] })),
  refused("a subnet that is too small", network({ subnet: "192.0.2.0/31" })),
  refused("a subnet with host bits", network({ subnet: "192.0.2.3/29" })),
  refused("a start outside", network({ ...smallRange, rangeStart: "192.0.2.9" })),
  refused("an end outside", network({ ...smallRange, rangeEnd: "192.0.2.9" })),
  refused("an end before the first address", network({ ...smallRange, rangeEnd: "192.0.2.0" })),
  refused("an end before the start", network({ ...smallRange, rangeStart: "192.0.2.5", rangeEnd: "192.0.2.3" })),
  refused("two families in a set", network({ ranges: [[smallRange, v6Range]] })),
  refused("an overlap in a set", network({ ranges: [[smallRange, { subnet: "192.0.2.0/30" }]] })),
  refused("an overlap of sets", network({ ranges: [[smallRange], [v6Range], [{ subnet: "192.0.2.0/24" }]] })),
  refused(
    "two addresses of a family in version 0.2.0",
    network({ ranges: [[smallRange], [{ subnet: "198.51.100.0/24" }]] }, { cniVersion: "0.2.0" }),
  ),
  refused("a resolv.conf that is not there", network({ ...smallRange, resolvConf: "/nowhere/resolv.conf" })),
  {
    name: "gives back leases of old versions, and ignores white space",
    plugin: "host-local",
    config: small,
    setUp: (site) => {
      lease("192.0.2.5", "ctr0\n")(site);
      lease("192.0.2.6", "  ctr1\r\nnet1\r\n")(site);
    },
    steps: [{ command: "CHECK", config: withResult("192.0.2.5/29") }, { command: "DEL" }, { command: "DEL", pod: 1 }],
  },
  {
    name: "fails CHECK when the lease is gone",
    plugin: "host-local",
    config: small,
    steps: [
      { command: "ADD" },
      { command: "CHECK", code: 999, before: (site) => lease("192.0.2.2", "another\r\nnet1")(site) },
      { command: "DEL" },
    ],
  },
  {
    name: "DEL of what is unknown",
    plugin: "host-local",
    config: small,
    steps: [{ command: "DEL" }],
    expected: [{ line: /^1 DEL state \/ files \/ pool/, reason: "no folder is made for a network that has none" }],
  },
  {
    name: "DEL with a range that no longer fits",
    plugin: "host-local",
    config: small,
    steps: [{ command: "ADD" }, { command: "DEL", config: network({ subnet: "192.0.2.3/29" }), code: 999 }],
    expected: [{ line: /^2 DEL (answer|state \/ files \/ pool\/192\.0\.2\.2)/, reason: "DEL needs no range" }],
  },
  {
    name: "an address that a crash blocked",
    plugin: "host-local",
    config: small,
    setUp: lease("192.0.2.2", ""),
    steps: [{ command: "ADD" }],
    expected: [
      { line: /^1 ADD answer \/ result \/ ips/, reason: "an empty file is nobody's lease" },
      {
        line: /^1 ADD state \/ files \/ pool\/(192\.0\.2\.|last_reserved_ip\.0)/,
        reason: "so its address is given out",
      },
    ],
  },
  {
    name: "GC and STATUS",
    plugin: "host-local",
    config: network({ ranges: [[{ subnet: "192.0.2.0/30" }]] }),
    steps: [
      { command: "STATUS" },
      { command: "ADD" },
      { command: "STATUS" },
      { command: "GC", config: withValid([{ containerID: "ctr0", ifname: "net1" }]) },
      { command: "GC", config: withValid([{ containerID: "ctr0", ifname: "net2" }]) },
    ],
    expected: [
      { line: /^1 STATUS state \/ files \/ pool/, reason: "STATUS tries whether the folder can be made" },
      { line: /^3 STATUS answer/, reason: "STATUS says 50 when the range is used up" },
      { line: /^5 GC state \/ files \/ pool\/192\.0\.2\.2/, reason: "GC removes what is not valid" },
    ],
  },
];

function withResult(address: string) {
  return (site: Site) => ({ ...small(site), prevResult: { cniVersion: "1.1.0", ips: [{ address }] } });
}

function withValid(attachments: object[]) {
  return (site: Site) => ({
    ...network({ ranges: [[{ subnet: "192.0.2.0/30" }]] })(site),
    "cni.dev/valid-attachments": attachments,
  });
}

describeCases("host-local", cases, common);
