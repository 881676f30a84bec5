import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { useExamples } from "../kit/examples.ts";
import { useLan } from "../kit/hooks.ts";
import { searchPath } from "../kit/packages.ts";
import { peerTools } from "../kit/peer-tools.ts";
import { cnitool } from "./cnitool.ts";

const repository = join(import.meta.dirname, "..", "..");
const lan = useLan();
const examples = useExamples();

beforeAll(() => {
  lan().node().ip("address add 192.168.50.1/24 dev eth0", "route add default via 192.168.50.254 dev eth0");
});

test("cnitool attaches the NICs of an example pod through the network multi, and takes them back", async () => {
  const node = lan().node();
  const pod = node.pod();
  const call = {
    network: "multi",
    netns: pod.path,
    node,
    confDir: join(examples().path, "conf-examples", "net.d"),
    path: join(examples().path, "dist", "bin"),
    args: "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web",
    cwd: examples().path,
  };
  const added = await cnitool({ ...call, verb: "add" });
  expect(added.result, added.stdout + added.stderr).toMatchObject({
    cniVersion: "1.0.0",
    interfaces: expect.any(Array),
  });
  const addresses = pod.run("ip", "-o", "address");
  for (const text of ["eth0", "10.244.9.", "net1", "10.60.0.", "storage0", "10.61.0.11/24", "fd00:61::11/64"])
    expect(addresses).toContain(text);
  expect(await cnitool({ ...call, verb: "check" })).toMatchObject({ exitCode: 0 });
  expect(await cnitool({ ...call, verb: "del" })).toMatchObject({ exitCode: 0 });
  expect(pod.run("ip", "-o", "link").trim().split("\n")).toHaveLength(1);
  expect(readdirSync("/var/lib/cni/results")).toEqual([]);
});

/** The commands of a section of README.md, block by block. */
function blocksOf(heading: string): string[] {
  const readme = readFileSync(join(repository, "README.md"), "utf8");
  const [, section = ""] = readme.split(`\n## ${heading}\n`);
  return (section.split("\n## ")[0] ?? "")
    .split("\n\n")
    .filter((part) => part.startsWith("    "))
    .map((part) => part.replaceAll(/^ {4}/gm, "").trim());
}

test("README's commands, line by line: cnitool, then polynic by itself", () => {
  const node = lan().node();
  const [withCnitool = "", alone = "", ...more] = blocksOf("Using it");
  expect(more).toEqual([]);
  // In one shell, as somebody would type them; what the last ones leave is taken back.
  const after = ["dist/polynic play --down", "dist/polynic del multi /run/netns/x", "ip netns del x"];
  const lines = ["set -e", withCnitool, "echo AND BY ITSELF", alone, ...after];
  const done = Bun.spawnSync(["nsenter", `--net=${node.path}`, "--", "sh", "-c", lines.join("\n")], {
    cwd: examples().path,
    env: { PATH: `${peerTools().bin}:${searchPath}` },
  });
  const error = done.stderr.toString();
  expect(done.exitCode, error).toBe(0);
  const [first = "", second = ""] = done.stdout.toString().split("AND BY ITSELF\n");
  expect(JSON.parse(first)).toMatchObject({ cniVersion: "1.0.0", ips: expect.any(Array) });
  const rows = second.split("\n");
  const podsOf = (shown: readonly string[]): string[] => shown.flatMap((row) => /^default\/\w+/.exec(row)?.[0] ?? []);
  const plan = rows.findLastIndex((row) => /^POD +INTERFACE +NETWORK +PLUGIN +ASKED FOR/.test(row));
  expect(new Set(podsOf(rows.slice(0, plan))).size).toBe(8);
  expect(new Set(podsOf(rows.slice(plan))).size).toBe(8);
  for (const text of ["default/web", '"cniVersion": "1.0.0"', "Usage: polynic "]) expect(second).toContain(text);
  expect(readdirSync("/var/lib/cni/results")).toEqual([]);
});
