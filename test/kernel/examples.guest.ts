import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PlayReport, PodReport } from "../../src/play/report.ts";
import { polynicBin } from "../kit/cni-caller.ts";
import { runCommand } from "../kit/command.ts";
import { Lan, type NodeNetns } from "../kit/node-netns.ts";
import { ping } from "../kit/ping.ts";
import { tryPage } from "../kit/plugin-pages.ts";
import { filesUnder, leasesUnder } from "../demo/remains.ts";
import type { GuestCases } from "./uml.ts";

const folder = join(import.meta.dirname, "..", "..", "conf-examples", "eth1");
const root = "/run/polynic-examples";

/** Two nodes whose second NIC eth1 is on one switch, and what `polynic play` makes of an example on the first. */
class Site implements Disposable {
  readonly #lan = new Lan({ nodes: 2 });

  constructor() {
    for (const node of this.#lan.nodes) node.ip("link set eth0 down", "link set eth0 name eth1", "link set eth1 up");
  }

  get node(): NodeNetns {
    return this.#lan.node(0);
  }

  get other(): NodeNetns {
    return this.#lan.node(1);
  }

  play(file: string): readonly PodReport[] {
    const text = polynic("play", "-f", join(folder, file), "--root", root, "--node", this.node.path, "-o", "json");
    const { pods, failures } = JSON.parse(text) as PlayReport;
    assert.deepEqual(failures, []);
    return pods;
  }

  /** Takes the pods down; their links, leases and files have to be gone. */
  down(): void {
    polynic("play", "--down", "--root", root);
    assert.deepEqual([filesUnder(root), leasesUnder("/var/lib/cni/networks")], [[], []]);
    const kinds = JSON.parse(this.node.run("ip", "-j", "-d", "link")) as { linkinfo?: { info_kind?: string } }[];
    const left = kinds
      .map(({ linkinfo }) => linkinfo?.info_kind)
      .filter((kind) => /^(ipvlan|macvlan)$/.test(kind ?? ""));
    assert.deepEqual(left, []);
  }

  [Symbol.dispose](): void {
    this.#lan[Symbol.dispose]();
  }
}

function polynic(...args: readonly string[]): string {
  return runCommand([join(polynicBin, "polynic"), ...args]);
}

function podNamed(pods: readonly PodReport[], name: string): PodReport {
  const pod = pods.find((each) => each.name === name);
  if (pod === undefined) throw new Error(`no pod ${name} among ${pods.map((each) => each.name).join(", ")}`);
  return pod;
}

/** The addresses of an interface as play reports them. */
function addressesOf({ interfaces }: PodReport, name: string): readonly string[] {
  return interfaces.find((each) => each.interface === name)?.addresses ?? [];
}

function inPod({ netns }: PodReport, ...command: string[]): string {
  return runCommand(command, { netns }).replaceAll(/ +$/gm, "");
}

function reaches(from: { readonly netns: string }, ...addresses: readonly string[]): void {
  for (const address of addresses) ping(from.netns, address);
}

const bare = (address = "") => address.replace(/\/.*/, "");

/** The flat file as whereabouts' install-cni.sh writes it, in an /etc that is the test's own. */
function flatFile(): Disposable {
  runCommand(["mount", "-t", "tmpfs", "tmpfs", "/etc"]);
  const whereabouts = "/etc/cni/net.d/whereabouts.d";
  mkdirSync(whereabouts, { recursive: true });
  const options = {
    datastore: "kubernetes",
    kubernetes: { kubeconfig: `${whereabouts}/whereabouts.kubeconfig` },
    reconciler_cron_expression: "30 4 * * *",
    log_file: "/var/log/whereabouts.log",
    log_level: "debug",
  };
  writeFileSync(`${whereabouts}/whereabouts.conf`, JSON.stringify(options, null, 2));
  return {
    [Symbol.dispose]: () => {
      runCommand(["umount", "/etc"]);
    },
  };
}

const pages: GuestCases = Object.fromEntries(
  ["ipvlan", "vlan"].map((name) => [
    `docs/plugins/${name}.md: its config works as it stands`,
    () => {
      using site = new Site();
      tryPage(name, site.node);
    },
  ]),
);

export const cases: GuestCases = {
  ...pages,
  "ipvlan.yaml: pods of one master reach each other and the LAN": () => {
    using site = new Site();
    site.other.ip("addr add 172.16.1.200/24 dev eth1");
    const pods = site.play("ipvlan.yaml");
    const [sample, other] = [podNamed(pods, "samplepod"), podNamed(pods, "otherpod")];
    const own = [sample, other, other].map((pod, index) => bare(addressesOf(pod, index === 2 ? "data1" : "net1")[0]));
    assert.deepEqual([...own].sort(), ["172.16.1.10", "172.16.1.11", "172.16.1.12"]);
    reaches(sample, "172.16.1.200", ...own.slice(1));
    reaches({ netns: site.other.path }, ...own);
    site.down();
  },
  "ipvlan-whereabouts.yaml: as on GKE, with the node's flat file; the pods reach each other and another host": () => {
    using site = new Site();
    using _file = flatFile();
    site.other.ip("addr add 172.16.1.200/24 dev eth1");
    const pods = site.play("ipvlan-whereabouts.yaml");
    const [sample, other] = [podNamed(pods, "samplepod"), podNamed(pods, "otherpod")];
    const own = [sample, other].map((pod) => bare(addressesOf(pod, "net1")[0]));
    assert.deepEqual([...own].sort(), ["172.16.1.1", "172.16.1.2"]);
    reaches(sample, "172.16.1.200", own[1]!);
    reaches(other, "172.16.1.200");
    assert.match(readFileSync("/var/log/whereabouts.log", "utf8"), /claimed 172\.16\.1\.1 for default\//);
    site.down();
  },
  "vlan.yaml: a pod with two VLANs, and one with a third, reach the hosts of their VLANs": () => {
    using site = new Site();
    for (const id of [100, 101, 102]) {
      site.other.ip(
        `link add link eth1 name eth1.${id} type vlan id ${id}`,
        `addr add 192.168.${id}.200/24 dev eth1.${id}`,
        `link set eth1.${id} up`,
      );
    }
    site.other.ip("addr add fd00:102::200/64 dev eth1.102 nodad");
    const pods = site.play("vlan.yaml");
    const [multi, single] = [podNamed(pods, "vlan-multi"), podNamed(pods, "vlan-single")];
    assert.deepEqual(addressesOf(multi, "net1"), ["192.168.100.211/24"]);
    assert.deepEqual(addressesOf(multi, "net2"), ["192.168.101.211/24"]);
    assert.deepEqual(addressesOf(single, "net1"), ["192.168.102.212/24", "fd00:102::212/64"]);
    reaches(multi, "192.168.100.200", "192.168.101.200");
    reaches(single, "192.168.102.200", "fd00:102::200");
    reaches({ netns: site.other.path }, "192.168.100.211", "192.168.101.211", "192.168.102.212");
    site.down();
  },
  "macvlan-on-vlan.yaml: pods share a VLAN device of the node": () => {
    using site = new Site();
    for (const node of [site.node, site.other])
      node.ip("link add link eth1 name vlan102 type vlan id 102", "link set vlan102 up");
    site.other.ip("addr add 10.10.0.253/24 dev vlan102", "addr add 10.10.0.254/24 dev vlan102");
    const pods = site.play("macvlan-on-vlan.yaml");
    const [firewall, probe] = [podNamed(pods, "firewall"), podNamed(pods, "probe")];
    assert.deepEqual([addressesOf(firewall, "net1"), addressesOf(probe, "net1")], [["10.10.0.1/24"], ["10.10.0.7/24"]]);
    reaches(firewall, "10.10.0.254", "10.10.0.253", "10.10.0.7");
    assert.match(inPod(firewall, "ip", "route"), /^192\.168\.0\.0\/16 via 10\.10\.0\.253 dev net1$/m);
    assert.match(inPod(firewall, "ip", "route"), /^172\.31\.0\.0\/16 via 10\.10\.0\.254 dev net1$/m);
    site.down();
  },
  "bridge-vlan.yaml: pods on a VLAN of the bridge, and one with a trunk, as the file tells to set up the node": () => {
    using site = new Site();
    for (const line of nodeSetup()) site.node.run(...line.split(" "));
    for (const id of [100, 101]) {
      site.other.ip(
        `link add link eth1 name eth1.${id} type vlan id ${id}`,
        `addr add 10.${id}.0.200/24 dev eth1.${id}`,
        `link set eth1.${id} up`,
      );
    }
    const pods = site.play("bridge-vlan.yaml");
    const [client, router] = [podNamed(pods, "client"), podNamed(pods, "router")];
    reaches(client, "10.100.0.200", bare(addressesOf(router, "net1")[0]));
    // The pod tags its frames itself.
    for (const line of [
      "ip link add link trunk0 name trunk0.101 type vlan id 101",
      "ip addr add 10.101.0.7/24 dev trunk0.101",
      "ip link set trunk0.101 up",
    ])
      inPod(router, ...line.split(" "));
    reaches(router, "10.101.0.200", "10.100.0.200");
    site.down();
  },
};

/** The commands in the comment of bridge-vlan.yaml. */
function nodeSetup(): string[] {
  const lines = runCommand(["grep", "-E", "^# {5}(ip|bridge) ", join(folder, "bridge-vlan.yaml")])
    .trim()
    .split("\n");
  assert.equal(lines.length, 5);
  return lines.map((line) => line.replace(/^# +/, ""));
}
