// What a network namespace holds, as a plain value: taken with iproute2, nft and iptables-save, which know nothing of our own code.
import { existsSync, readdirSync } from "node:fs";
import { readTextIfExists } from "../../src/libc/file.ts";
import { Netns } from "../../src/netns/netns.ts";
import { NETLINK_NETFILTER } from "../../src/netlink/constants.ts";
import { isNetlinkError } from "../../src/netlink/error.ts";
import { request } from "../../src/netlink/message.ts";
import { NetlinkSocket } from "../../src/netlink/socket.ts";
import { listTables } from "../../src/nft/list.ts";
import { openBody } from "../../src/rtnl/body.ts";
import { runCommand } from "./command.ts";

const sysctlRoot = "/proc/sys/net";
/** What the kernel gives an interface that nobody asked anything for. */
const ownQdiscs: readonly string[] = ["noqueue", "pfifo_fast", "mq", "fq_codel"];
// include/uapi/linux/rtnetlink.h, pkt_sched.h
const RTM_GETQDISC = 38;
const TCA_KIND = 1;
const TC_H_ROOT = 0xffff_ffff;
const tcmsgBytes = 20;

/** One object of the kernel: its properties by name. */
export type KernelObject = Readonly<Record<string, unknown>>;

/** Objects by a name that stays the same whenever the object is made anew. */
export type KernelObjects = Readonly<Record<string, KernelObject>>;

export interface Snapshot {
  /** By interface name. */
  readonly links: KernelObjects;
  /** By interface and prefix. */
  readonly addresses: KernelObjects;
  /** All tables, by family, table, type, destination, device and metric. */
  readonly routes: KernelObjects;
  readonly rules: KernelObjects;
  /** Permanent and proxy entries: the others come and go with traffic. */
  readonly neighbours: KernelObjects;
  /** Bridge VLAN membership by port; empty on a kernel without VLAN filtering. */
  readonly vlans: KernelObjects;
  /** Queueing disciplines that somebody asked for. */
  readonly qdiscs: KernelObjects;
  /** net.ipv4.conf and net.ipv6.conf by interface ("all" and "default" too), and under "" those that are the namespace's. */
  readonly sysctls: KernelObjects;
  /** Rules line by line, by table and chain; without handles and counters. */
  readonly nft: Readonly<Record<string, readonly string[]>>;
  /** iptables-save and ip6tables-save, by family and table, without counters. */
  readonly iptables: Readonly<Record<string, readonly string[]>>;
}

// One shell for everything, and as few programs as do: a test takes dozens of snapshots, and in a guest each program costs 40 ms. VLANs are
// those of bridges and their ports.
const objects = `
part() { printf '\\n@@%s\\n' "$1"; }
family='addr show
neigh show nud permanent
neigh show proxy
route show table all
rule show'
links=$(ip -force -4 -j -d -batch - 2>/dev/null <<END || true
link show
$family
END
)
part ip4; printf '%s\\n' "$links"
part ip6; ip -force -6 -j -d -batch - 2>/dev/null <<END || true
$family
END
case $links in *'"bridge"'*) part vlans; bridge -j vlan show 2>/dev/null || true;; esac
`;
const sysctls = `
part sysctls; cd ${sysctlRoot} && grep -rs . ipv4/conf ipv6/conf ipv4/ip_forward bridge || true
`;
const qdiscs = `
part qdiscs; tc -j qdisc show
`;
/** Always in this order: nft 1.0 shows the targets of iptables only in the first family that has one, which else is the one that was faster. */
const nftLists = ["ip", "ip6", "inet", "netdev", "bridge", "arp"].map((family) => `list ruleset ${family}`).join("; ");
const rules = `
part nft; nft -s -n '${nftLists}' 2>/dev/null
part iptables4; iptables-save 2>/dev/null
part iptables6; ip6tables-save 2>/dev/null
true
`;

/** Those that any plugin sets by itself, of each interface. */
const usualSysctls: Readonly<Record<string, readonly string[]>> = {
  ipv4: ["arp_notify", "arp_filter", "arp_announce", "arp_ignore", "forwarding", "route_localnet", "rp_filter"],
  ipv6: "disable_ipv6 accept_dad accept_ra addr_gen_mode autoconf enhanced_dad forwarding keep_addr_on_down ndisc_notify".split(
    " ",
  ),
};

type Json = Record<string, unknown>;

export interface SnapshotOptions {
  /** False leaves out nft, iptables, queueing disciplines and sysctls that plugins leave alone: more than half of the work. */
  readonly withFilters?: boolean;
}

/** The state of the namespace at `netns`; of the caller's own when that is undefined. */
export function snapshot(netns?: string, { withFilters = true }: SnapshotOptions = {}): Snapshot {
  const output = runCommand(
    ["sh", "-c", withFilters ? `${objects}${sysctls}${filtersOf(netns)}` : objects],
    netns === undefined ? {} : { netns },
  );
  const parts = new Map(
    output
      .split("\n@@")
      .slice(1)
      .map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n") + 1).trim()]),
  );
  // One list for each line. Without any object these programs print nothing at all, or an unfinished list when the kernel lacks the feature.
  const lists = (name: string): Json[][] =>
    (parts.get(name) ?? "").split("\n").map((line) => (line.length <= 1 ? [] : (JSON.parse(line) as Json[])));
  const rows = (name: string) => lists(name).flat();
  const [links = [], ...ip4] = lists("ip4");
  const families = [familyRows("4", ip4), familyRows("6", lists("ip6"))];
  const routing = families.flatMap((family) => family.routing);
  return {
    links: keyed(links.map(linkObject), (link) => text(link, "ifname"), ["ifname"]),
    addresses: keyed(
      families.flatMap((family) => addressObjects(family.addresses, links)),
      (row) => `${text(row, "dev")} ${text(row, "local")}/${text(row, "prefixlen")}`,
      dropped.address,
    ),
    routes: keyed(
      routing.filter((row) => !isRule(row) && isNotOfLinkLocal(row) && !isMadeLater(row)),
      routeName,
      dropped.route,
    ),
    rules: keyed(
      routing.filter(isRule),
      (rule) => `${text(rule, "family")} ${text(rule, "priority")} ${text(rule, "src")} ${text(rule, "table")}`,
      dropped.rule,
    ),
    neighbours: keyed(
      families.flatMap((family) => family.neighbours),
      (row) => `${text(row, "dev")} ${text(row, "dst")}`,
      [],
    ),
    vlans: keyed(rows("vlans"), (row) => text(row, "ifname"), ["ifname"]),
    qdiscs: keyed(
      rows("qdiscs").filter(isAskedFor),
      (row) => `${text(row, "dev")} ${text(row, "parent") || text(row, "kind")}`,
      dropped.qdisc,
    ),
    sysctls: sysctlObjects(withFilters ? (parts.get("sysctls") ?? "").split("\n") : usualSysctlLines(netns)),
    nft: nftChains(parts.get("nft") ?? ""),
    iptables: { ...savedTables("4", parts.get("iptables4") ?? ""), ...savedTables("6", parts.get("iptables6") ?? "") },
  };
}

/** A state in which it does not matter how far the kernel is with its probing for duplicates, which goes on by itself. */
export function withoutProbing(state: Snapshot): Snapshot {
  const addresses = Object.entries(state.addresses).map(([name, each]) => [name, without(each, /^tentative$/)]);
  return { ...state, addresses: Object.fromEntries(addresses) as KernelObjects };
}

/** The parts of the script that have something to list: that there is something the kernel is asked here, what it is by others. */
function filtersOf(path: string | undefined): string {
  using netns = path === undefined ? Netns.current() : Netns.open(path);
  return `${hasQdiscs(netns) ? qdiscs : ""}${hasTables(netns) ? rules : ""}`;
}

/** Anything but what the kernel gives each interface by itself. */
function hasQdiscs({ rtnl }: Netns): boolean {
  const query = request("list queueing disciplines", RTM_GETQDISC, 0, (body) => void body.struct(tcmsgBytes));
  return rtnl.dump(query).some((message) => {
    const { header, attributes } = openBody(message, tcmsgBytes, query.label);
    let kind = "";
    while (attributes.next()) if (attributes.type === TCA_KIND) kind = attributes.text();
    return header.getUint32(12, true) !== TC_H_ROOT || !ownQdiscs.includes(kind);
  });
}

/** Rules of nft, and of iptables where that is the one for nf_tables, are in tables of nf_tables; those of x_tables have files with names. */
function hasTables(netns: Netns): boolean {
  return netns.enter(() => {
    const files = ["ip_tables_names", "ip6_tables_names"];
    if (files.some((name) => readTextIfExists(`/proc/thread-self/net/${name}`))) return true;
    try {
      using socket = NetlinkSocket.open(NETLINK_NETFILTER, netns.path);
      return socket.dump(listTables(undefined)).length > 0;
    } catch (error) {
      // A kernel without nf_tables has none.
      if (isNetlinkError(error)) return false;
      throw error;
    }
  });
}

/** Properties that say nothing about what was configured: numbers the kernel hands out, timers, state that follows carrier. */
const dropped = {
  link: /^(ifindex|operstate|qdisc|linkmode|num_[rt]x_queues|[gt]so_.*|gro_.*|(min|max)_mtu|link_index|link_netnsid|promiscuity|allmulti)$/,
  linkData:
    /^(.*_timer|.*_id|id|no|root_.*|topology_change.*|designated_.*|state|config_pending|usedbcqueuelen|group_fwd_mask_str|fdb_n_learned)$/,
  linkFlags: new Set(["LOWER_UP", "NO-CARRIER", "M-DOWN"]),
  address: ["ifindex", "dev", "local", "prefixlen", "valid_life_time", "preferred_life_time"],
  route: ["expires", "cacheinfo", "flags"],
  rule: ["protocol"],
  qdisc: ["refcnt", "handle"],
} as const;

/** The lines of an IP version, by what they list. */
function familyRows(family: string, [addresses = [], permanent = [], proxies = [], ...routing]: readonly Json[][]) {
  return {
    addresses,
    neighbours: [...permanent, ...proxies],
    routing: routing.flat().map((row): Json => ({ family, ...row })),
  };
}

/** Rules of routing have a priority, routes a metric. */
function isRule(row: Json): boolean {
  return row["priority"] !== undefined;
}

/** The kernel's own route to an IPv6 address comes from a work queue some time behind the address (addrconf_dad_work()): that says all. */
function isMadeLater(row: Json): boolean {
  return row["family"] === "6" && ["local", "anycast"].includes(text(row, "type")) && row["protocol"] === "kernel";
}

function linkObject(link: Json): Json {
  const kept = without(link, dropped.link);
  const info = (link["linkinfo"] ?? {}) as Json;
  // A VLAN's own data has the id that matters; a bridge's and a port's ids are made of MAC addresses.
  const data = (info["info_data"] ?? {}) as Json;
  return {
    ...kept,
    flags: (link["flags"] as string[]).filter((flag) => !dropped.linkFlags.has(flag)).sort(),
    // Device names of another namespace don't show; that it is another one does.
    link: link["link_netnsid"] === undefined ? link["link"] : "(another namespace)",
    linkinfo: {
      kind: info["info_kind"],
      data: info["info_kind"] === "bridge" ? without(data, dropped.linkData) : without(data, /^usedbcqueuelen$/),
      port: without((info["info_slave_data"] ?? {}) as Json, dropped.linkData),
    },
  };
}

/** A property as text; "" when there is none. */
function text(row: Json, name: string): string {
  const value = row[name];
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

function without(row: Json, names: RegExp): Json {
  return Object.fromEntries(Object.entries(row).filter(([name]) => !names.test(name)));
}

/** One row per address. The link-local address that IPv6 makes by itself is left out: it comes when carrier does. */
function addressObjects(holders: readonly Json[], links: readonly Json[]): Json[] {
  return holders.flatMap((holder) => {
    const link = links.find(({ ifname }) => ifname === holder["ifname"]) ?? holder;
    return ((holder["addr_info"] ?? []) as Json[])
      .filter((row) => row["protocol"] !== "kernel_ll" && !isMadeByKernel(row, link))
      .map((row) => ({ ...row, dev: link["ifname"], isLimited: Number(row["valid_life_time"]) !== 0xffff_ffff }));
  });
}

/** For iproute2 that does not tell: the link-local address made of the MAC; an ipvlan's is made of a number of the device too. */
function isMadeByKernel({ local }: Json, link: Json): boolean {
  const { info_kind: kind } = (link["linkinfo"] ?? {}) as Json;
  if (kind === "ipvlan") return String(local).startsWith("fe80:");
  return local === linkLocalOf(text(link, "address"));
}

/** The fe80:: address made of a MAC (RFC 4291, appendix A), in the form that iproute2 prints. */
export function linkLocalOf(mac: string): string {
  const bytes = mac.split(":").map((part) => Number.parseInt(part, 16));
  const [first = 0, second = 0, third = 0, ...rest] = bytes;
  const all = [first ^ 2, second, third, 0xff, 0xfe, ...rest];
  const groups = [0, 2, 4, 6].map((index) => (((all[index] ?? 0) << 8) | (all[index + 1] ?? 0)).toString(16));
  // A MAC that begins with 02:00 gives a zero group more, which the "::" takes in.
  return `fe80::${groups.join(":").replace(/^0:/, "")}`;
}

function isNotOfLinkLocal(route: Json): boolean {
  const destination = text(route, "dst");
  return route["protocol"] !== "kernel" || !(destination.startsWith("fe80:") || destination === "ff00::/8");
}

function routeName(route: Json): string {
  const metric = text(route, "metric") === "" ? "" : ` metric ${text(route, "metric")}`;
  return `ipv${text(route, "family")} ${text(route, "table")} ${text(route, "type")} ${text(route, "dst")} dev ${text(route, "dev") || "-"}${metric}`;
}

function isAskedFor(qdisc: Json): boolean {
  return !ownQdiscs.includes(text(qdisc, "kind")) || qdisc["root"] !== true;
}

/** Rows by name; a name that occurs again gets a number, so that nothing is lost. */
function keyed(rows: readonly Json[], nameOf: (row: Json) => string, drop: readonly string[]): KernelObjects {
  const objects: Record<string, KernelObject> = {};
  for (const row of rows) {
    const name = nameOf(row);
    let free = name;
    for (let number = 2; objects[free] !== undefined; number += 1) free = `${name} #${number}`;
    objects[free] = Object.fromEntries(
      Object.entries(row).filter(([property, value]) => !drop.includes(property) && value !== undefined),
    );
  }
  return objects;
}

/** Lines such as `ipv4/conf/eth0/arp_notify:1`. */
function sysctlObjects(lines: readonly string[]): KernelObjects {
  const objects: Record<string, Record<string, string>> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    const path = line.slice(0, colon).split("/");
    const [family = "", folder = "", device = "", name = ""] = path;
    // The MTU is the link's already.
    if (colon < 0 || name === "mtu") continue;
    const [object, property] = folder === "conf" ? [device, `${family}.${name}`] : ["", path.join(".")];
    objects[object] = { ...objects[object], [property]: line.slice(colon + 1) };
  }
  return objects;
}

/** The same lines of the usual ones alone, read here: so few cost less than a program. */
function usualSysctlLines(path: string | undefined): string[] {
  using netns = path === undefined ? Netns.current() : Netns.open(path);
  return netns.enter(() => {
    const files = Object.entries(usualSysctls).flatMap(([family, names]) => {
      const folder = `${family}/conf`;
      if (!existsSync(`${sysctlRoot}/${folder}`)) return [];
      return readdirSync(`${sysctlRoot}/${folder}`).flatMap((device) =>
        names.map((name) => `${folder}/${device}/${name}`),
      );
    });
    return ["ipv4/ip_forward", ...files].flatMap((file) => {
      const value = readTextIfExists(`${sysctlRoot}/${file}`);
      return value === undefined ? [] : [`${file}:${value.trimEnd()}`];
    });
  });
}

/** `nft list ruleset` by "table ip x / chain y" (or set, map, …); the lines of a table itself under its own name. */
function nftChains(text: string): Record<string, string[]> {
  const chains: Record<string, string[]> = {};
  const path: string[] = [];
  for (const line of text.split("\n").map((line) => line.trim())) {
    if (line === "" || line.startsWith("#")) continue;
    if (line === "}") path.pop();
    else if (path.length < 2 && line.endsWith("{")) {
      path.push(line.slice(0, -1).trim());
      chains[path.join(" / ")] = [];
    } else chains[path.join(" / ")]?.push(line);
  }
  return chains;
}

function savedTables(family: string, text: string): Record<string, string[]> {
  const tables: Record<string, string[]> = {};
  let lines: string[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("*")) tables[`ipv${family} ${line.slice(1)}`] = lines = [];
    else if (line.startsWith(":") || line.startsWith("-")) lines.push(line.replace(/ \[\d+:\d+\]$/, ""));
  }
  return tables;
}
