// The pages of docs/plugins: what they show is run, and what they list is held against the code.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { polynicBin } from "./cni-caller.ts";
import { runCommand } from "./command.ts";
import type { NodeNetns } from "./node-netns.ts";
import { searchPath } from "./packages.ts";
import { snapshot } from "./snapshot.ts";
import { temporaryFolder } from "./tmp.ts";

const folder = join(import.meta.dirname, "..", "..", "docs", "plugins");

/** The plugins that have a page, by name. */
export function pageNames(): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".md"))
    .map((name) => name.slice(0, -".md".length))
    .sort();
}

export function readPage(name: string): string {
  return readFileSync(join(folder, `${name}.md`), "utf8");
}

/** The configs that a page shows, as they stand there. */
function configsOf(name: string): string[] {
  return [...readPage(name).matchAll(/^```json\n(.*?)^```$/gms)].map(([, text = ""]) => text);
}

const capabilities = { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] };

/**
 * Copies each config of a page into a folder of networks, and calls `polynic add`, `check` and `del` by hand on the node, whose NIC has to be
 * called eth1. Throws when one fails, when the interface is not there in between, and when the pod is not as it was behind it.
 */
export function tryPage(name: string, node: NodeNetns): void {
  const configs = configsOf(name);
  assert.notEqual(configs.length, 0, `${name}.md shows no config`);
  for (const text of configs) {
    using networks = temporaryFolder();
    const config = JSON.parse(text) as { name: string; plugins?: unknown; ipam?: { type: string } };
    // What a node says in the flat file of whereabouts: where the pools are.
    using pools = temporaryFolder();
    const { ipam } = config;
    const isPooled = ipam?.type === "whereabouts";
    const asRun = isPooled ? JSON.stringify({ ...config, ipam: { ...ipam, manifests: pools.path } }) : text;
    networks.write(config.plugins === undefined ? "10.conf" : "10.conflist", asRun);
    const pod = node.pod();
    // An interface "lo" that was up once keeps its addresses.
    pod.ip("link set lo up", "link set lo down");
    const before = snapshot(pod.path, { withFilters: false });
    const ifName = name === "loopback" ? "lo" : "net1";
    const call = (verb: string) => {
      const environment = {
        PATH: searchPath,
        NETCONFPATH: networks.path,
        CNI_PATH: polynicBin,
        CNI_IFNAME: ifName,
        CAP_ARGS: JSON.stringify(capabilities),
      };
      const words = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
      runCommand(["env", "-i", ...words, join(polynicBin, "polynic"), verb, config.name, pod.path], {
        netns: node.path,
      });
    };
    call("add");
    assert.match(pod.run("ip", "link", "show", ifName), /[<,]UP[,>]/);
    call("check");
    call("del");
    assert.deepEqual(
      snapshot(pod.path, { withFilters: false }),
      before,
      `what the config of ${name}.md leaves in the pod`,
    );
  }
}
