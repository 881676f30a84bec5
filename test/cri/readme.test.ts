// README's install section, copied line by line, on a machine with containerd and no CNI plugin at all.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { laneCgroup } from "../kit/cgroups.ts";
import { runCommand } from "../kit/command.ts";
import { Containerd } from "../kit/containerd.ts";
import { searchPath } from "../kit/packages.ts";
import { peerTools } from "../kit/peer-tools.ts";

const root = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync("/var/lib/polynic-readme-");
let runtime: Containerd;

beforeAll(async () => {
  // /etc and /opt as they are on this machine, with whatever is written there gone with the lane.
  for (const name of ["upper", "work"]) mkdirSync(join(folder, name));
  const layers = `lowerdir=/etc,upperdir=${folder}/upper,workdir=${folder}/work`;
  runCommand(["mount", "-t", "overlay", "-o", layers, "overlay", "/etc"]);
  runCommand(["mount", "-t", "tmpfs", "polynic-test", "/opt"]);
  mkdirSync("/opt/cni/bin", { recursive: true });
  mkdirSync("/etc/cni/net.d", { recursive: true });
  runtime = await Containerd.start({
    folder: join(folder, "containerd"),
    confDir: "/etc/cni/net.d",
    binDir: "/opt/cni/bin",
  });
});
afterAll(async () => {
  await runtime.crictl("rmp", "--all", "--force").catch(() => "");
  await runtime.stop("SIGKILL");
  for (const path of ["/opt", "/etc"]) runCommand(["umount", "--lazy", path]);
  // A network's bridge outlives its last pod, and the lane's other files have addresses of their own for a bridge of that name.
  for (const { ifname } of bridges()) runCommand(["ip", "link", "delete", ifname]);
});

/** Those of the lane's own network namespace. */
function bridges(): readonly { readonly ifname: string }[] {
  return JSON.parse(runCommand(["ip", "-j", "link", "show", "type", "bridge"]) || "[]") as { ifname: string }[];
}

/** The commands of the section, block by block. */
function blocks(): string[] {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const section = /\n## Installing it\n([^]*?)\n## /.exec(readme)?.[1] ?? "";
  return section
    .split(/\n\n/)
    .filter((part) => part.startsWith("    "))
    .map((part) => part.replaceAll(/^ {4}/gm, ""));
}

function runLines(text: string): string {
  const script = join(folder, "lines.sh");
  // The only thing that a test adds: where containers' groups go.
  const sandbox = JSON.parse(readFileSync(join(root, "conf-examples/install/sandbox.json"), "utf8")) as {
    linux: object;
  };
  const own = join(folder, "sandbox.json");
  writeFileSync(
    own,
    JSON.stringify({ ...sandbox, linux: { ...sandbox.linux, cgroup_parent: `${laneCgroup()}/readme` } }),
  );
  writeFileSync(script, `set -e\n${text.replace("conf-examples/install/sandbox.json", own)}\n`);
  const done = Bun.spawnSync(["sh", script], {
    cwd: root,
    env: { PATH: `${peerTools("cri").bin}:${searchPath}`, CRI_CONFIG_FILE: join(folder, "containerd", "crictl.yaml") },
  });
  if (done.success) return done.stdout.toString();
  throw new Error(`ended with ${done.exitCode}: ${done.stdout.toString()}${done.stderr.toString()}`);
}

test("gives a pod with two NICs, and removes everything afterwards", () => {
  const [install = "", uninstall = "", ...more] = blocks();
  expect(more).toEqual([]);
  const out = runLines(install);
  expect(out).toMatch(/^eth0\S* +UP +10\.244\.0\.\d+\/24/m);
  expect(out).toMatch(/^net1\S* +UP +10\.60\.0\.\d+\/24/m);
  runLines(uninstall);
  expect(readdirSync("/opt/cni/bin")).toEqual([]);
  expect(readdirSync("/etc/cni/net.d")).toEqual([]);
  expect(readdirSync("/etc")).not.toContain("polynic");
});
