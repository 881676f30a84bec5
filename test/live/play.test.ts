import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { PlayReport } from "../../src/play/report.ts";
import { polynicBin } from "../kit/cni-caller.ts";
import { leasesUnder } from "../demo/remains.ts";
import { leftovers } from "../kit/diff.ts";
import { useLan } from "../kit/hooks.ts";
import { searchPath } from "../kit/packages.ts";
import { ping } from "../kit/ping.ts";
import { snapshot, type Snapshot } from "../kit/snapshot.ts";
import { type TemporaryFolder, temporaryFolder } from "../kit/tmp.ts";

const lan = useLan();
let folder: TemporaryFolder;
let root: string;
let before: Snapshot;

beforeEach(() => {
  folder = temporaryFolder();
  root = join(folder.path, "root");
  lan().node().ip("address replace 192.168.50.1/24 dev eth0");
  lan().node().ip("route replace default via 192.168.50.254 dev eth0");
  before = snapshot(lan().node().path);
});
afterEach(() => {
  play("--down");
  folder[Symbol.dispose]();
});

const networks = `
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: { name: lan }
spec:
  config: '{ "cniVersion": "1.0.0", "type": "macvlan", "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.60.0.0/24" }]] } }'
---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: { name: nowhere }
spec:
  config: '{ "cniVersion": "1.0.0", "type": "macvlan", "master": "eth9" }'
`;

function pod(name: string, annotation: string): string {
  return `apiVersion: v1\nkind: Pod\nmetadata:\n  name: ${name}\n  annotations:\n    k8s.v1.cni.cncf.io/networks: '${annotation}'\n`;
}

interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

function play(...args: string[]): Outcome {
  const done = Bun.spawnSync([join(polynicBin, "polynic"), "play", "--root", root, ...args], {
    env: { PATH: searchPath },
    cwd: folder.path,
  });
  return { exitCode: done.exitCode, stdout: done.stdout.toString(), stderr: done.stderr.toString() };
}

function reportOf({ stdout }: Outcome): PlayReport {
  return JSON.parse(stdout) as PlayReport;
}

/** Process ids of plugins that were started from a root. */
function pluginsOf(folder: string): string[] {
  return readdirSync("/proc").filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/environ`, "utf8").includes(`CNI_PATH=${folder}/bin`);
    } catch {
      return false;
    }
  });
}

/** Comes back when none is seen a few times in a row: one that is being started just then has no environment yet. */
async function pluginsEnded(folder: string): Promise<void> {
  const looksInARow = 3;
  for (let quiet = 0; quiet < looksInARow; quiet++) {
    if (pluginsOf(folder).length > 0) quiet = -1;
    await Bun.sleep(10);
  }
}

/** Names of pods, whether they came up, failed or went down. */
function namesOf(pods: readonly { readonly name: string }[]): string[] {
  return pods.map(({ name }) => name).sort();
}

function up(manifests: string, ...more: string[]): Outcome {
  return play("-f", folder.write("pods.yaml", `${networks}---\n${manifests}`), "--node", lan().node().path, ...more);
}

describe("polynic play", () => {
  test("makes pods that reach each other over every network, and takes them down without a trace", () => {
    const done = up(`${pod("a", "lan")}---\n${pod("b", "lan,lan@second")}`, "-o", "json", "--pod-cidr", "10.77.0.0/24");
    expect(done).toMatchObject({ exitCode: 0, stderr: "" });
    const { pods, failures } = reportOf(done);
    expect(failures).toEqual([]);
    expect(pods.map(({ name, interfaces }) => [name, interfaces.map((each) => each.interface)])).toEqual([
      ["a", ["eth0", "net1"]],
      ["b", ["eth0", "net1", "second"]],
    ]);
    const [a, b] = pods;
    expect(a?.interfaces[1]).toMatchObject({ network: "default/lan", plugin: "macvlan/host-local", mtu: 1500 });
    expect(a?.interfaces[0]).toMatchObject({ plugin: "bridge/host-local", gateways: ["10.77.0.1"] });
    for (const { addresses } of b?.interfaces ?? []) {
      expect(ping(a?.netns ?? "", addresses[0]?.split("/")[0] ?? "")).toBeGreaterThan(0);
    }
    expect(play("--down")).toMatchObject({ exitCode: 0, stderr: "" });
    expect(existsSync(root)).toBe(false);
    expect(leftovers(before.links, snapshot(lan().node().path).links)).toEqual([]);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(root);
  });

  test("shows a table with one line for each interface", () => {
    const { stdout } = up(pod("a", "lan"));
    const [titles, first, second] = stdout.split("\n");
    expect(titles).toMatch(/^POD +INTERFACE +NETWORK +PLUGIN +ADDRESSES +MAC +MTU +GATEWAY +MS$/);
    expect(first).toMatch(
      /^default\/a +eth0 +default-network +bridge\/host-local +10\.88\.0\.2\/16 .* 1500 +10\.88\.0\.1 +[\d.]+$/,
    );
    expect(second).toMatch(/^ +net1 +default\/lan +macvlan\/host-local +10\.60\.0\.\d+\/24 +[0-9a-f:]+ +1500$/);
    expect(stdout).not.toContain("\x1b");
  });

  test("a pod that fails is cleaned up and named in one line, the others are not affected", () => {
    const done = up(`${pod("good", "lan")}---\n${pod("typo", "lam")}---\n${pod("late", "lan,nowhere")}`, "-o", "json");
    expect(done.exitCode).toBe(1);
    const lines = done.stderr.trimEnd().split("\n").sort();
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/^default\/late: .*eth9/);
    expect(lines[1]).toMatch(/^default\/typo: .*did you mean lan\?/);
    // The file as it was named, not the copy that the play works with.
    expect(lines[1]).toContain(`not found in ${join(folder.path, "pods.yaml")};`);
    const { pods, failures } = reportOf(done);
    expect(namesOf(pods)).toEqual(["good"]);
    expect(namesOf(failures)).toEqual(["late", "typo"]);
    expect(existsSync(join(root, "netns", "default_late"))).toBe(false);
    expect(JSON.parse(readFileSync(join(root, "state.json"), "utf8")).pods).toHaveLength(1);
  });

  test("prints once what it warns of, and nothing of a failure but the failure", () => {
    const wish = (name: string, network: string): string =>
      pod(name, `[{"name": "${network}", "bandwidth": {"egressRate": 1}}]`);
    const done = up(`${wish("a", "lan")}---\n${pod("typo", "lam")}`, "-o", "json");
    const lines = done.stderr.trimEnd().split("\n");
    expect(lines).toEqual([
      expect.stringMatching(/^warning: network default\/lan \(interface net1\): "bandwidth" of .* reaches no plugin/),
      expect.stringMatching(/^default\/typo: .*did you mean lan\?/),
    ]);
    expect(reportOf(done).warnings).toEqual([lines[0]?.replace("warning: ", "")]);
    // What an earlier play was told is not told again.
    expect(up(pod("b", "lan"))).toMatchObject({ exitCode: 0, stderr: "" });
  });

  test("leaves nothing when every pod fails", () => {
    expect(up(pod("typo", "lam")).exitCode).toBe(1);
    expect(existsSync(root)).toBe(false);
  });

  test("a second play adds pods, and refuses those that are up", () => {
    expect(up(pod("a", "lan")).exitCode).toBe(0);
    const done = up(`${pod("a", "lan")}---\n${pod("b", "lan")}`, "-o", "yaml");
    expect(done.exitCode).toBe(1);
    expect(done.stderr).toBe("default/a: is up already; take it down first with polynic play --down\n");
    expect(done.stdout).toContain("name: b");
    expect(namesOf(reportOf(play("--down", "-o", "json")).pods)).toEqual(["a", "b"]);
  });

  test("pods of two plays have different addresses of a range of whereabouts, and its pools tell who has which", () => {
    const ipam = { type: "whereabouts", range: "10.66.0.0/29", data_dir: join(folder.path, "journals") };
    const shared = (name: string): string => {
      const config = JSON.stringify({ cniVersion: "1.0.0", type: "macvlan", ipam });
      const definition = `kind: NetworkAttachmentDefinition\nmetadata: { name: shared }\nspec: { config: '${config}' }\n`;
      return `apiVersion: k8s.cni.cncf.io/v1\n${definition}---\n${pod(name, "shared")}`;
    };
    const addressOf = (name: string): string | undefined =>
      reportOf(up(shared(name), "-o", "json")).pods[0]?.interfaces[1]?.addresses[0];
    expect([addressOf("a"), addressOf("b")]).toEqual(["10.66.0.1/29", "10.66.0.2/29"]);
    const ipamOf = (...words: string[]): string =>
      Bun.spawnSync([join(polynicBin, "polynic"), "ipam", ...words], { env: { PATH: searchPath } }).stdout.toString();
    // Of one play, whose folder does not tell of the other's pod; and of the root, which tells of all.
    expect(ipamOf("check", "--manifests", join(root, "play-2", "manifests"))).toMatch(
      /^Not all pods are told of .*\n2 addresses/,
    );
    expect(ipamOf("check", "--manifests", root)).toMatch(/^2 addresses looked at in .*: none is leaked/);
    expect(ipamOf("who", "10.66.0.1", "--manifests", root)).toContain("default/a");
    expect(play("--down")).toMatchObject({ exitCode: 0, stderr: "" });
    expect(existsSync(root)).toBe(false);
  });

  test("takes down pods whose namespaces are gone, and whose manifests are", () => {
    expect(up(pod("a", "lan")).exitCode).toBe(0);
    folder.write("pods.yaml", "");
    const unmounted = Bun.spawnSync(["umount", join(root, "netns", "default_a")]);
    expect(unmounted.exitCode).toBe(0);
    expect(play("--down")).toMatchObject({ exitCode: 0, stderr: "" });
    expect(existsSync(root)).toBe(false);
  });

  test.each([5, 15, 30, 60, 120])(
    "killed after %d ms, it leaves what --down finds and takes away",
    async (milliseconds) => {
      const manifests = ["a", "b", "c", "d"].map((name) => pod(name, "lan,lan")).join("---\n");
      const file = folder.write("pods.yaml", `${networks}---\n${manifests}`);
      const args = ["play", "--root", root, "-f", file, "--node", lan().node().path];
      const child = Bun.spawn([join(polynicBin, "polynic"), ...args], {
        env: { PATH: searchPath },
        stdio: ["ignore", "ignore", "ignore"],
      });
      await Bun.sleep(milliseconds);
      child.kill("SIGKILL");
      await child.exited;
      // The plugins that it had started go on, as a runtime's do; a runtime would not call DEL before they end either.
      await pluginsEnded(root);
      expect(play("--down")).toMatchObject({ exitCode: 0, stderr: "" });
      expect(leftovers(before.links, snapshot(lan().node().path).links)).toEqual([]);
      expect(leasesUnder("/var/lib/cni/networks")).toEqual([]);
      expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(root);
    },
  );

  test("--down where nothing was made does nothing", () => {
    expect(play("--down", "-o", "json")).toMatchObject({ exitCode: 0, stderr: "" });
    expect(play("--down").stdout).toBe(`no pods are up under ${root}\n`);
    expect(existsSync(root)).toBe(false);
  });

  test("--dry-run prints the plan and changes nothing", () => {
    const done = up(pod("a", "lan@lan0"), "--dry-run", "-o", "json");
    expect(done).toMatchObject({ exitCode: 0, stderr: "" });
    expect(JSON.parse(done.stdout).pods[0].attachments).toMatchObject([
      { interface: "eth0", network: "default-network", plugin: "bridge/host-local", isDefault: true },
      { interface: "lan0", network: "default/lan", plugin: "macvlan/host-local", isDefault: false },
    ]);
    expect(existsSync(root)).toBe(false);
    expect(snapshot(lan().node().path)).toEqual(before);
  });

  test("takes a configuration in place of the default network", () => {
    const conf = folder.write("net.conflist", {
      cniVersion: "1.0.0",
      name: "mine",
      plugins: [
        {
          type: "multus",
          logFile: "",
          cniDir: join(folder.path, "multus"),
          delegates: [
            {
              cniVersion: "1.0.0",
              name: "mine",
              type: "macvlan",
              ipam: { type: "static", addresses: [{ address: "10.5.5.5/24" }] },
            },
          ],
        },
      ],
    });
    const { stdout } = up(pod("a", "lan"), "--conf", conf, "-o", "json");
    expect(JSON.parse(stdout).pods[0].interfaces).toMatchObject([
      { interface: "eth0", network: "mine", plugin: "macvlan/static", addresses: ["10.5.5.5/24"] },
      { interface: "net1", network: "default/lan" },
    ]);
  });

  test("says that nobody reads annotations where the configuration has no plugin of type multus", () => {
    const ipam = { type: "static", addresses: [{ address: "10.5.5.6/24" }] };
    const conf = folder.write("plain.conf", { cniVersion: "1.0.0", name: "plain", type: "macvlan", ipam });
    const done = up(pod("a", "lan"), "--conf", conf);
    expect(done).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("10.5.5.6/24") });
    expect(done.stderr).toBe(
      `warning: network plain of ${conf} has no plugin of type multus: the networks in the annotations of default/a were not attached\n`,
    );
    expect(reportOf(up(pod("b", ""), "--conf", conf, "-o", "json")).warnings).toEqual([]);
  });

  test.each<[string, () => string[], string]>([
    ["no file", () => [], "name the manifests with -f FILE"],
    ["a missing file", () => ["-f", "/nope.yaml"], "/nope.yaml: no such file or directory"],
    ["a file without pods", () => ["-f", folder.write("n.yaml", networks)], "no Pod found in"],
    ["a broken file", () => ["-f", folder.write("n.yaml", "kind: Pod\na: b: c")], "n.yaml line 2"],
    [
      "a missing node",
      () => ["-f", folder.write("p.yaml", pod("a", "")), "--node", "polynic-none"],
      "polynic-none does not exist",
    ],
    ["a missing config", () => ["-f", folder.write("p.yaml", pod("a", "")), "--conf", "/nope.conf"], "/nope.conf"],
    [
      "a config that is no JSON",
      () => ["-f", folder.write("p.yaml", pod("a", "")), "--conf", folder.write("c", "{")],
      "/c",
    ],
    ["--down with a file", () => ["--down", "-f", "x"], "it takes no -f"],
    ["an unknown form", () => ["-o", "xml"], "Allowed choices are table, json, yaml"],
  ])("%s is bad input: one line, exit code 2, and nothing left", (_, args, want) => {
    const done = play(...args());
    expect(done).toMatchObject({ exitCode: 2, stdout: "" });
    expect(done.stderr).toContain(want);
    expect(done.stderr.trimEnd()).not.toContain("\n");
    expect(existsSync(root)).toBe(false);
  });

  test("refuses a root with other people's files", () => {
    mkdirSync(join(root, "bin"), { recursive: true });
    writeFileSync(join(root, "bin", "precious"), "");
    expect(up(pod("a", "lan"))).toMatchObject({ exitCode: 2, stdout: "" });
    expect(play("--down").exitCode).toBe(0);
    expect(existsSync(join(root, "bin", "precious"))).toBe(true);
  });
});
