// The whole life of an attachment as cnitool leads it, for any chain of plugins: in this machine's namespaces, or in a guest's.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { polynicBin } from "../kit/cni-caller.ts";
import { diff } from "../kit/diff.ts";
import type { NodeNetns, PinnedNetns } from "../kit/node-netns.ts";
import { snapshot } from "../kit/snapshot.ts";
import { temporaryFolder } from "../kit/tmp.ts";
import { cnitool, type CnitoolCall } from "./cnitool.ts";

const network = "life";
const resultFolder = "/var/lib/cni/results";

/** Where a command is run: what it spoils has to be found by CHECK. */
export interface Damage {
  readonly in: "node" | "pod";
  readonly command: string;
}

export interface Life {
  readonly name: string;
  readonly plugins: readonly object[];
  /** CAP_ARGS. */
  readonly capabilities?: object;
  /** "net1" otherwise. */
  readonly ifName?: string;
  /** What each plugin of the chain has made, looked for behind ADD: a command in the pod, or on the node, and what it has to print. */
  readonly made: readonly (Damage & { readonly prints: RegExp })[];
  readonly damages: readonly Damage[];
}

type Step = (verb: CnitoolCall["verb"]) => Promise<void>;

/**
 * ADD, CHECK and DEL by cnitool with our executables, once for each of the damages: CHECK is content before it and not behind it, a DEL
 * (and a second one) leaves node and pod as they were before an attachment that is not the network's first. Last, GC takes away what
 * a pod had that is gone. Throws for whatever is not so.
 */
export async function lead(life: Life, node: NodeNetns): Promise<void> {
  using folder = temporaryFolder();
  folder.write(`net.d/10-${network}.conflist`, { cniVersion: "1.1.0", name: network, plugins: life.plugins });
  const pod = node.pod();
  const { call, fails } = stepsOf(life, node, pod, join(folder.path, "net.d"));
  await call("status");
  // What is the network's, not the attachment's, comes with the first and stays: a bridge and its gateway, chains that all share.
  await call("add");
  await call("del");
  const before = stateOf(node, pod);
  for (const damage of life.damages) {
    await call("add");
    for (const { prints, ...place } of life.made) assert.match(run(place, node, pod), prints, place.command);
    await call("check");
    run(damage, node, pod);
    await fails("check", damage.command);
    await call("del");
    assert.deepEqual(diff(before, stateOf(node, pod), ["before", "after"]), [], `left after ${damage.command}`);
    await call("del");
  }
  await call("add");
  pod[Symbol.dispose]();
  await call("gc");
  assert.deepEqual(diff(before[0], stateOf(node)[0], ["before", "after"]), [], "left after gc");
  assert.deepEqual(readdirSync(resultFolder), []);
}

function stepsOf(life: Life, node: NodeNetns, pod: PinnedNetns, confDir: string) {
  const { ifName = "net1", capabilities = {} } = life;
  const ask = async (verb: CnitoolCall["verb"]) =>
    await cnitool({ verb, network, netns: pod.path, node, confDir, path: polynicBin, ifName, capabilities });
  const call: Step = async (verb) => {
    const { exitCode, stdout, stderr, result } = await ask(verb);
    assert.equal(exitCode, 0, `${verb}: ${stdout}${stderr}`);
    if (verb === "add") assert.equal((result as { cniVersion?: string } | undefined)?.cniVersion, "1.1.0", stdout);
  };
  const fails = async (verb: CnitoolCall["verb"], why: string) => {
    assert.notEqual((await ask(verb)).exitCode, 0, `${verb} is content with ${why}`);
  };
  return { call, fails };
}

function stateOf(node: NodeNetns, pod?: PinnedNetns): unknown[] {
  return [node, ...(pod === undefined ? [] : [pod])].map((each) => snapshot(each.path));
}

function run(place: Damage, node: NodeNetns, pod: PinnedNetns): string {
  return (place.in === "node" ? node : pod).run("sh", "-c", place.command);
}

/** Damages and looks of the plugins that stand behind another one; for chains. */
export const chained = {
  tuning: {
    plugin: {
      type: "tuning",
      mtu: 1400,
      sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1", "net.core.somaxconn": "8192" },
    },
    made: [
      { in: "pod", command: "sysctl -n net.core.somaxconn net.ipv4.conf.net1.arp_filter", prints: /^8192\n1\n$/ },
      { in: "pod", command: "ip link show net1", prints: / mtu 1400 / },
    ],
    damages: [{ in: "pod", command: "sysctl -qw net.ipv4.conf.net1.arp_filter=0" }],
  },
  sbr: {
    plugin: { type: "sbr" },
    made: [
      { in: "pod", command: "ip rule", prints: /from 192\.0\.2\.7 lookup 100/ },
      { in: "pod", command: "ip route show table 100", prints: /^default via 192\.0\.2\.1 dev net1/m },
    ],
    damages: [{ in: "pod", command: "ip rule del from 192.0.2.7" }],
  },
  portmap: {
    plugin: { type: "portmap", capabilities: { portMappings: true }, backend: "iptables" },
    made: [
      {
        in: "node",
        command: "iptables-save -t nat",
        prints: /--dport 8080 -j DNAT --to-destination 192\.0\.2\.7:80$/m,
      },
    ],
    damages: [{ in: "node", command: "iptables -t nat -F CNI-HOSTPORT-DNAT" }],
  },
  portmapByNft: {
    plugin: { type: "portmap", capabilities: { portMappings: true }, backend: "nftables" },
    made: [{ in: "node", command: "nft list ruleset", prints: /tcp dport 8080 dnat to 192\.0\.2\.7:80/ }],
    damages: [{ in: "node", command: "nft flush chain ip cni_hostport hostports" }],
  },
} as const satisfies Record<string, Pick<Life, "made" | "damages"> & { readonly plugin: object }>;

/** Capability arguments that the chains with portmap need. */
export const portMappings = {
  portMappings: [
    { hostPort: 8080, containerPort: 80, protocol: "tcp" },
    { hostPort: 5353, containerPort: 53, protocol: "udp" },
  ],
};

/** An IPAM section with the addresses that the tables here look for. */
export const ipam = {
  type: "static",
  addresses: [{ address: "192.0.2.7/24", gateway: "192.0.2.1" }, { address: "2001:db8::7/64" }],
};

/** A life of `first` with those behind it in a chain, each looked at and damaged in turn. */
export function chainOf(
  first: Pick<Life, "made" | "damages"> & { readonly plugin: object },
  ...names: (keyof typeof chained)[]
): Life {
  const links = [first, ...names.map((name) => chained[name])];
  return {
    name: links.map(({ plugin }) => (plugin as { type: string }).type).join(" + "),
    plugins: links.map(({ plugin }) => plugin),
    capabilities: names.some((name) => name.startsWith("portmap")) ? portMappings : {},
    made: links.flatMap(({ made }) => made),
    damages: links.flatMap(({ damages }) => damages),
  };
}
