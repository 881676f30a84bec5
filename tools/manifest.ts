// `bun tools/manifest.ts`: writes deploy/base/polynic.yaml, the one manifest to apply, out of its parts in deploy/.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const deploy = join(import.meta.dirname, "..", "deploy");

/** In the order in which a cluster needs them. */
const parts = [
  "crds/network-attachment-definitions.yaml",
  "crds/ip-pools.yaml",
  "crds/overlapping-range-ip-reservations.yaml",
  "crds/node-slice-pools.yaml",
  "rbac.yaml",
  "rbac-ipam-node.yaml",
  "daemonset.yaml",
  "rbac-ipam-controller.yaml",
  "ipam-controller.yaml",
];

/** The whole manifest as text. */
export function wholeManifest(): string {
  const texts = parts.map((name) => readFileSync(join(deploy, name), "utf8").trim());
  return `# Written by tools/manifest.ts out of the files of deploy/.\n${texts.join("\n---\n")}\n`;
}

if (import.meta.main) writeFileSync(join(deploy, "base", "polynic.yaml"), wholeManifest());
