import { chmodSync } from "node:fs";
import type { Case, ExpectedDifference, Site, Step } from "./compare.ts";
import { describeCases } from "./describe-cases.ts";

const mac = "02:00:00:00:00:0a";
const own = "02:00:00:00:00:01";
const everything = { mac, mtu: 1400, promisc: true, allmulti: true, txQLen: 777 };

/** What the plugin before has made: an interface with a MAC of its own. */
function interfaceThere(site: Site): void {
  site.pod().ip(`link add net1 address ${own} type veth peer name far`, "link set net1 up", "link set far up");
  // As the folder that both make is for root alone.
  chmodSync(site.folder, 0o700);
}

function network(settings: object = {}, cniVersion = "1.1.0", result: object = {}) {
  return (site: Site): object => {
    const interfaces = [
      { name: "br0", mac: "02:00:00:00:00:02" },
      { name: "net1", mac: own, sandbox: site.pod().path },
    ];
    const prevResult = { cniVersion, interfaces, ...result };
    return { cniVersion, name: "lan", type: "tuning", dataDir: site.folder, prevResult, ...settings };
  };
}

function list(first: object, ...others: readonly object[]) {
  return ({ folder }: Site): object => {
    const ipam = { type: "static", addresses: [{ address: "192.0.2.5/24", gateway: "192.0.2.1" }] };
    const rest = others.map((each) => ({ type: "tuning", dataDir: folder, ...each }));
    return { cniVersion: "1.1.0", name: "lan", plugins: [{ ...first, ipam }, ...rest] };
  };
}

const macvlan = { type: "macvlan", master: "eth0" };
const bridge = { type: "bridge", bridge: "br0" };
const arpFilter = { sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" } };

const addDel: readonly Step[] = [{ command: "ADD" }, { command: "DEL" }];
const refused: readonly Step[] = [{ command: "ADD", code: 999 }, { command: "DEL" }];

const common: readonly ExpectedDifference[] = [
  {
    line: /files \/ ctr0_net1\.json: peer has "600 .*, ours has "600 .*polynic/,
    reason: "the same members and one more",
  },
  { line: /answer \/ code: peer has 999, ours has 7$/, reason: "a wrong config has the specification's code" },
  { line: /result \/ interfaces \/ \d \/ mtu: peer has nothing/, reason: "the result tells the MTU, as 1.1.0 can" },
];

/** Sysctls on the Go side leave no backup. */
const sysctlsOnFile: readonly ExpectedDifference[] = [
  { line: /files \/ ctr0_net1\.json: peer has nothing/, reason: "sysctls are on file too" },
  { line: /DEL state \/ pod0 \/ sysctls \/ net1 \/ ipv4\.arp_filter: peer has "1", ours has "0"/, reason: "put back" },
];

const noBackup: ExpectedDifference = {
  line: /^1 ADD state \/ .*(net1|files)/,
  reason: "a failed ADD leaves nothing",
};
const words: ExpectedDifference = { line: /answer \/ msg/, reason: "says what was tried and what to do" };

/** Runs a program where /etc has a list of sysctls with these lines, and nothing else. */
function withAllowlist(...lines: string[]) {
  // A mount namespace and a file system of its own, so that nothing of it is seen outside.
  const list = `printf '%s' "$1" > /etc/cni/tuning/allowlist.conf`;
  const script = `mount -t tmpfs none /etc && mkdir -p /etc/cni/tuning && ${list} && shift && exec "$@"`;
  return () => ["unshare", "-m", "sh", "-c", script, "sh", lines.join("\n")];
}

const rows: readonly Omit<Case, "plugin">[] = [
  { name: "nothing to do", config: network() },
  { name: "a MAC", config: network({ mac }) },
  { name: "an MTU", config: network({ mtu: 1400 }) },
  { name: "promiscuous mode", config: network({ promisc: true }) },
  { name: "all-multicast mode on", config: network({ allmulti: true }) },
  { name: "all-multicast mode off", config: network({ allmulti: false }) },
  { name: "a queue length", config: network({ txQLen: 777 }) },
  { name: "a queue length of none", config: network({ txQLen: 0 }) },
  { name: "everything", config: network(everything) },
  ...["mac", "mtu", "promisc", "allmulti", "txQLen"].map((name) => {
    const value = everything[name as keyof typeof everything];
    return { name: `${name} by args`, config: network({ args: { cni: { [name]: value } } }) };
  }),
  {
    name: "args over the config",
    config: network({ ...everything, args: { cni: { mtu: 1300, promisc: false, allmulti: false } } }),
  },
  { name: "the MAC of CNI_ARGS", config: network({ mac: own }), args: `IgnoreUnknown=1;MAC=${mac};K8S_POD_NAME=web` },
  { name: "the runtime's MAC", config: network({ mac: own, runtimeConfig: { mac } }), args: "MAC=02:00:00:00:00:0c" },
  {
    name: "a MAC in capitals",
    config: network({ mac: "02-00-00-00-00-0A" }),
    steps: [{ command: "ADD" }, { command: "CHECK", code: 999 }, { command: "DEL" }],
    expected: [
      { line: /result \/ interfaces \/ 1 \/ mac: /, reason: "results have MACs as the kernel prints them" },
      { line: /^2 CHECK answer/, reason: "it is the same MAC" },
    ],
  },
  ...["0.3.0", "0.3.1", "0.4.0", "1.0.0"].map((version) => {
    const hasCheck = version === "0.4.0" || version === "1.0.0";
    return { name: `version ${version}`, config: network(everything, version), ...(hasCheck ? {} : { steps: addDel }) };
  }),
  {
    name: "a sysctl of the interface",
    config: network(arpFilter),
    steps: [{ command: "ADD" }, { command: "CHECK" }, { command: "DEL" }],
    expected: sysctlsOnFile,
  },
  {
    name: "a sysctl of the interface, written with slashes",
    config: network({ sysctl: { "net/ipv4/conf/IFNAME/arp_filter": "1" } }),
    steps: [{ command: "ADD" }, { command: "CHECK" }, { command: "DEL" }],
    expected: sysctlsOnFile,
  },
  {
    name: "a sysctl of args beside one of the config",
    config: network({ ...arpFilter, args: { cni: { sysctl: { "net.ipv4.conf.IFNAME.arp_notify": "1" } } } }),
    steps: [{ command: "ADD" }, { command: "CHECK" }, { command: "DEL" }],
    expected: [...sysctlsOnFile, { line: /^3 DEL state .*arp_notify/, reason: "put back" }],
  },
  {
    name: "a sysctl of several numbers",
    config: network({ sysctl: { "net.ipv4.ip_local_port_range": "2000 3000" } }),
    steps: [{ command: "ADD" }, { command: "CHECK", code: 999 }],
    expected: [
      { line: /^2 CHECK answer/, reason: "a blank is a blank" },
      { line: /files \/ ctr0_net1\.json: peer has nothing/, reason: "sysctls are on file too" },
    ],
  },
  { name: "a sysctl outside of net", config: network({ sysctl: { "kernel.hostname": "x" } }), steps: refused },
  {
    name: "a sysctl that is not there",
    config: network({ sysctl: { "net.ipv4.nope": "1" } }),
    steps: refused,
    expected: [],
  },
  { name: "a MAC that is none", config: network({ mac: "xx" }), steps: refused, expected: [noBackup] },
  {
    name: "an MTU that can't be",
    config: network({ mac, mtu: 10 }),
    steps: refused,
    expected: [noBackup, words],
  },
  {
    name: "a key of the wrong type",
    config: network({ mtu: "1400" }),
    steps: [{ command: "ADD", code: 999 }],
    expected: [words],
  },
  {
    name: "unknown keys in CNI_ARGS",
    config: network({ mac }),
    args: "FOO=bar",
    steps: [{ command: "ADD", code: 999 }],
    expected: [{ line: /answer \/ code: peer has 999, ours has 4$/, reason: "it is the environment that is wrong" }],
  },
  {
    name: "no previous result",
    config: (site) => ({ ...network({ mtu: 1400 })(site), prevResult: undefined }),
    steps: [
      { command: "ADD", code: 999 },
      { command: "CHECK", code: 999 },
    ],
  },
  {
    name: "no interface",
    config: network({ mtu: 1400 }),
    setUp: () => undefined,
    steps: refused,
  },
  {
    name: "a second ADD",
    config: network({ mac, mtu: 1400 }),
    steps: [{ command: "ADD" }, { command: "ADD" }, { command: "DEL" }],
    expected: [{ line: /DEL state \/ pod0 .*net1/, reason: "the backup is of what was there first" }],
  },
  {
    name: "CHECK after somebody was at it",
    config: network({ mac, mtu: 1400, promisc: true, allmulti: true, txQLen: 777, ...arpFilter }),
    steps: [
      { command: "ADD" },
      { command: "CHECK", code: 999, before: (site) => site.pod().ip("link set net1 txqueuelen 5") },
      { command: "CHECK", code: 999, before: (site) => site.pod().ip("link set net1 allmulticast off") },
      { command: "CHECK", code: 999, before: (site) => site.pod().ip("link set net1 mtu 1300") },
      { command: "CHECK", code: 999, before: (site) => site.pod().ip("link set net1 promisc off") },
      { command: "CHECK", code: 999, before: (site) => site.pod().ip(`link set net1 address ${own}`) },
      {
        command: "CHECK",
        code: 999,
        before: (site) => site.pod().run("sh", "-c", "echo 0 > /proc/sys/net/ipv4/conf/net1/arp_filter"),
      },
      { command: "CHECK", code: 999, before: (site) => site.pod().ip("link del net1") },
    ],
    expected: [
      {
        line: /CHECK answer \/ msg: peer has ".* of net1 is (0x)?[0-9a-f]{6,}/,
        reason: "the Go plugin prints the address of a pointer",
      },
    ],
  },
  {
    name: "DEL without interface, and without namespace",
    config: network(everything),
    steps: [
      { command: "ADD" },
      { command: "DEL", before: (site) => site.pod().ip("link del net1") },
      { command: "DEL", netns: "" },
      { command: "DEL", before: (site) => site.pod()[Symbol.dispose]() },
    ],
    expected: [
      { line: /DEL state \/ files \/ ctr0_net1\.json: .*ours has nothing/, reason: "the backup goes in any case" },
    ],
  },
  {
    name: "the list of sysctls",
    config: network(arpFilter),
    steps: [
      { command: "ADD", code: 999, wrapper: withAllowlist("^net.core") },
      { command: "ADD", code: 999, wrapper: withAllowlist("") },
      { command: "ADD", wrapper: withAllowlist("", "^net.core", "  ipv4.conf.IFNAME.arp_f ") },
    ],
    expected: [{ line: /files \/ ctr0_net1\.json: peer has nothing/, reason: "sysctls are on file too" }],
  },
  {
    name: "behind macvlan",
    config: list(macvlan, { mac, mtu: 1400, promisc: true }),
    setUp: () => undefined,
  },
  {
    name: "behind bridge, before and behind sbr",
    config: list(bridge, { mac, txQLen: 5 }, { type: "sbr", dataDir: undefined }, { allmulti: true }),
    setUp: () => undefined,
    steps: [{ command: "ADD" }, { command: "CHECK", code: 999 }, { command: "DEL" }],
    expected: [
      { line: /(br0|veth#\d)/, reason: "is about bridge, whose own table of cases has it" },
      { line: /^2 CHECK answer/, reason: "routes are looked for in all tables" },
      { line: /arp_notify|ndisc_notify/, reason: "neighbours are told" },
      { line: /mac#|fe80::/, reason: "the pair's first MACs are random" },
    ],
  },
];
const cases = rows.map((row): Case => ({ plugin: "tuning", setUp: interfaceThere, macs: [mac, own], ...row }));

describeCases("tuning", cases, common);
