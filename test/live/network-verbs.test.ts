import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { polynicBin } from "../kit/cni-caller.ts";
import { inNetns } from "../kit/command.ts";
import { useLan, useTemporaryFolder } from "../kit/hooks.ts";
import type { PinnedNetns } from "../kit/node-netns.ts";
import { searchPath } from "../kit/packages.ts";

const lan = useLan();
const folder = useTemporaryFolder();
let pod: PinnedNetns;

beforeEach(() => {
  pod = lan().node().pod();
  folder().write("net.d/10-lan.conflist", {
    cniVersion: "1.1.0",
    name: "lan",
    plugins: [
      {
        type: "macvlan",
        master: "eth0",
        capabilities: { ips: true },
        ipam: { type: "static", addresses: [{ address: "10.9.0.5/24" }] },
      },
    ],
  });
});

interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

function polynic(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  through: readonly string[] = [],
): Outcome {
  const done = Bun.spawnSync(inNetns(lan().node().path, [...through, join(polynicBin, "polynic"), ...args]), {
    env: { PATH: searchPath, NETCONFPATH: join(folder().path, "net.d"), ...env },
  });
  return { exitCode: done.exitCode, stdout: done.stdout.toString(), stderr: done.stderr.toString() };
}

describe("the verbs of cnitool", () => {
  test("add attaches and prints the result, check finds it, del takes it away, and both can be repeated", () => {
    const added = polynic(["add", "lan", pod.path]);
    expect(added).toMatchObject({ exitCode: 0, stderr: "" });
    expect(JSON.parse(added.stdout)).toMatchObject({
      cniVersion: "1.1.0",
      interfaces: [{ name: "eth0", sandbox: pod.path }],
      ips: [{ address: "10.9.0.5/24" }],
    });
    expect(pod.run("ip", "-o", "addr")).toContain("10.9.0.5/24");
    expect(polynic(["check", "lan", pod.path])).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    expect(polynic(["del", "lan", pod.path])).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    expect(pod.run("ip", "-o", "link")).not.toContain("eth0");
    expect(polynic(["del", "lan", pod.path])).toEqual({ exitCode: 0, stdout: "", stderr: "" });
  });
  test("a second add is refused, and the first stays whole; a namespace made anew in its place is attached", () => {
    expect(polynic(["add", "lan", pod.path]).exitCode).toBe(0);
    const again = polynic(["add", "lan", pod.path]);
    expect(again).toMatchObject({ exitCode: 1, stdout: "" });
    expect(again.stderr).toBe(
      `polynic: ${pod.path} is attached to network "lan" already, by its interface eth0; delete that first: polynic del lan ${pod.path}\n`,
    );
    expect(polynic(["check", "lan", pod.path])).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    pod.ip("link del eth0");
    expect(polynic(["add", "lan", pod.path]).exitCode).toBe(0);
    expect(polynic(["del", "lan", pod.path]).exitCode).toBe(0);
  });
  test("CNI_IFNAME names the interface, CAP_ARGS reach plugins that declare the capability", () => {
    const env = { CNI_IFNAME: "lan7", CAP_ARGS: '{"ips":["10.9.0.77/24"]}' };
    expect(polynic(["add", "lan", pod.path], env).exitCode).toBe(0);
    expect(pod.run("ip", "-o", "addr", "show", "dev", "lan7")).toContain("10.9.0.77/24");
    expect(polynic(["del", "lan", pod.path], env).exitCode).toBe(0);
  });
  test("check knows what add was told", () => {
    const told = { CAP_ARGS: '{"ips":["10.9.0.77/24"]}' };
    expect(polynic(["add", "lan", pod.path], told)).toMatchObject({ exitCode: 0 });
    expect(polynic(["check", "lan", pod.path])).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    pod.ip("addr del 10.9.0.77/24 dev eth0");
    expect(polynic(["check", "lan", pod.path]).stderr).toContain("10.9.0.77");
    expect(polynic(["del", "lan", pod.path])).toMatchObject({ exitCode: 0 });
  });

  test("gc deletes every attachment of the network", () => {
    expect(polynic(["add", "lan", pod.path]).exitCode).toBe(0);
    expect(polynic(["gc", "lan"])).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    expect(pod.run("ip", "-o", "link")).not.toContain("eth0");
    expect(readdirSync("/var/lib/cni/results").filter((name) => name.startsWith("lan-"))).toEqual([]);
  });
  test("status says nothing when all is well", () => {
    expect(polynic(["status", "lan"])).toEqual({ exitCode: 0, stdout: "", stderr: "" });
  });
  test.each(["add", "del"])(
    "%s in the node's own namespace touches nothing, unless CNI_NETNS_OVERRIDE allows it",
    (verb) => {
      const own = "/proc/thread-self/ns/net";
      const before = lan().node().run("ip", "-o", "link");
      const refused = polynic([verb, "lan", own]);
      expect(refused).toMatchObject({ exitCode: 1, stdout: "" });
      expect(refused.stderr).toContain("CNI_NETNS_OVERRIDE=1 allows it");
      expect(lan().node().run("ip", "-o", "link")).toBe(before);
      const env = { CNI_NETNS_OVERRIDE: "1", CNI_IFNAME: "own0" };
      expect(polynic(["add", "lan", own], env).exitCode).toBe(0);
      expect(polynic(["del", "lan", own], env).exitCode).toBe(0);
    },
  );
  test("without the right to enter namespaces it says which one is missing", () => {
    const outcome = polynic(["add", "lan", pod.path], {}, ["setpriv", "--bounding-set=-sys_admin"]);
    expect(outcome).toMatchObject({ exitCode: 1, stdout: "" });
    expect(outcome.stderr).toContain("operation not permitted; CAP_SYS_ADMIN is missing here");
  });
  test("what a file holds already stays, also where nothing is added to it", () => {
    const asked = { "k8s.v1.cni.cncf.io/networks": "n" };
    const manifest = folder().write("pod.yaml", { kind: "Pod", metadata: { name: "p", annotations: asked } });
    const log = join(folder().path, "log");
    polynic(["plan", "-f", manifest], {}, ["sh", "-c", `{ echo first; "$@"; echo last; } > ${log} 2>&1`, "sh"]);
    expect(readFileSync(log, "utf8")).toMatch(/^first\ndefault\/p: .* \(n\) .*\nlast\n$/);
  });
  test.each<[string, string[], Record<string, string>, number, string]>([
    ["a network that is not there", ["add", "nope", "NETNS"], {}, 1, "nope"],
    ["a namespace that is not there", ["add", "lan", "/run/netns/polynic-none"], {}, 1, "polynic-none"],
    ["no namespace", ["add", "lan"], {}, 2, "missing required argument 'netns'"],
    ["CNI_ARGS that are no pairs", ["add", "lan", "NETNS"], { CNI_ARGS: "a=b;c" }, 2, 'found "c"'],
    ["CAP_ARGS that are no object", ["add", "lan", "NETNS"], { CAP_ARGS: "[]" }, 2, "expected a JSON object"],
    ["CAP_ARGS that are no JSON", ["add", "lan", "NETNS"], { CAP_ARGS: "{" }, 2, "CAP_ARGS"],
  ])("%s: one line and nothing else", (_, args, env, exitCode, want) => {
    const outcome = polynic(
      args.map((arg) => (arg === "NETNS" ? pod.path : arg)),
      env,
    );
    expect(outcome).toMatchObject({ exitCode, stdout: "" });
    expect(outcome.stderr).toContain(want);
    expect(outcome.stderr.trimEnd()).not.toContain("\n");
    expect(pod.run("ip", "-o", "link")).not.toContain("eth0");
  });

  test.each<[string, object, string]>([
    ["a plugin's config", { type: "macvlan", master: "eth0", mode: "nope" }, 'unknown macvlan mode: "nope"'],
    ["its IPAM plugin's", { type: "macvlan", master: "eth0", ipam: { type: "host-local" } }, "no IP ranges specified"],
    ["an IPAM plugin that is not there", { type: "macvlan", master: "eth0", ipam: { type: "none" } }, '"none"'],
    [
      "the dispatcher, which logs it too",
      { type: "multus", logLevel: "error", delegates: [{ name: "bad", type: "macvlan", master: "none" }] },
      'master "none" does not exist',
    ],
  ])("%s: what taking back meets again is told once", (_, plugin, want) => {
    folder().write("net.d/20-bad.conflist", { cniVersion: "1.1.0", name: "bad", plugins: [plugin] });
    const outcome = polynic(["add", "bad", pod.path]);
    expect(outcome).toMatchObject({ exitCode: 1, stdout: "" });
    expect(outcome.stderr).toMatch(/^polynic: .*\n$/);
    expect(outcome.stderr).toContain(want);
  });

  test("what is logged about a call that succeeds is told", () => {
    const plugins = [{ type: "macvlan", master: "eth0", mode: "nope" }];
    folder().write("net.d/20-bad.conflist", { cniVersion: "1.1.0", name: "bad", plugins });
    const { exitCode, stderr } = polynic(["del", "bad", pod.path]);
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/^.* \[error\] cleaning up network bad without its config: .*\n$/);
  });
});
