// A node whose system is built on musl, as a root folder: which build it gets, and that this build does there what the other does elsewhere.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type CniOutcome, mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { runCommand } from "../kit/command.ts";
import { muslRoot } from "../kit/musl-root.ts";
import { searchPath } from "../kit/packages.ts";

/** In the lane's own /var/lib, as all that this test makes: nothing of it outlives the lane. */
let root = "";
const path = (...names: string[]): string => join(root, ...names);
const netns = "/run/netns/musl-pod";
const master = "musl0";
const bridge = "musl-br";
/** What that system has of this machine. */
const mounted = ["proc", "sys", "run", "dev"];

const hostLocal = (subnet: string): object => ({ type: "host-local", ranges: [[{ subnet }]] });

function write(name: string, content: object): void {
  mkdirSync(dirname(path(name)), { recursive: true });
  writeFileSync(path(name), JSON.stringify(content));
}

function install(...args: readonly string[]): { readonly exitCode: number; readonly said: string } {
  const folders = ["--cni-bin-dir", path("opt/cni/bin"), "--cni-conf-dir", path("etc/cni/net.d")];
  const command = [join(polynicBin, "polynic"), "install", ...folders, "--manifests", "/manifests", "--plugins", "all"];
  const done = Bun.spawnSync([...command, ...args], { env: { PATH: searchPath } });
  return { exitCode: done.exitCode, said: done.stderr.toString() };
}

/** What the runtime of that node would do: the installed executable runs with that node's / as its own. */
async function call(plugin: string, command: string, config: object): Promise<CniOutcome> {
  return await mustCallCni({
    executable: `/opt/cni/bin/${plugin}`,
    wrapper: ["chroot", root],
    command,
    config,
    netns,
    containerId: "0123456789ab",
    ifName: "eth0",
    args: "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web",
  });
}

const addresses = (): string => runCommand(["ip", "-4", "-o", "addr", "show", "scope", "global"], { netns });

beforeAll(() => {
  root = mkdtempSync("/var/lib/polynic-musl-");
  cpSync(muslRoot(), root, { recursive: true });
  runCommand(["ip", "link", "add", master, "type", "veth", "peer", "name", `${master}-peer`]);
  for (const end of [master, `${master}-peer`]) runCommand(["ip", "link", "set", end, "up"]);
  runCommand(["ip", "netns", "add", "musl-pod"]);
  for (const name of mounted) {
    mkdirSync(path(name));
    runCommand(["mount", "--rbind", `/${name}`, path(name)]);
  }
});

// The lane's network, and its /run/netns, which iproute2 has made a mount, are those of the tests that follow too.
afterAll(() => {
  runCommand(["ip", "netns", "del", "musl-pod"]);
  for (const path of [...mounted.map((name) => join(root, name)), "/run/netns"])
    runCommand(["umount", "--recursive", "--lazy", path]);
  for (const link of [master, bridge]) runCommand(["ip", "link", "del", link]);
});

beforeEach(() => {
  for (const name of ["opt", "etc"]) rmSync(path(name), { recursive: true, force: true });
  write("etc/cni/net.d/10-primary.conflist", {
    cniVersion: "1.0.0",
    name: "primary",
    plugins: [{ type: "bridge", bridge, ipam: hostLocal("10.77.0.0/16") }],
  });
});

test("it gets the build for musl, by whoever sees its /; an install that doesn't leaves that build in place", () => {
  expect(install("--host-root", root)).toMatchObject({
    exitCode: 0,
    said: expect.stringContaining("the node's system has musl and no glibc: installing the musl build\n"),
  });
  const [executable = ""] = readdirSync(path("opt/cni/bin")).filter((name) => name.startsWith("polynic-"));
  expect(runCommand(["chroot", root, `/opt/cni/bin/${executable}`, "version"])).toMatch(/^polynic \d/);
  expect(install().said).not.toContain("wrote polynic-");
  expect(runCommand(["chroot", root, `/opt/cni/bin/${executable}`, "version"])).toMatch(/^polynic \d/);
});

test("an interface is attached, checked and detached by the plugin itself", async () => {
  install("--host-root", root);
  const config = { cniVersion: "1.0.0", name: "lan", type: "macvlan", master, ipam: hostLocal("10.78.0.0/16") };
  const { result } = await call("macvlan", "ADD", config);
  expect(addresses()).toMatch(/ eth0 +inet 10\.78\.0\.2\/16 /);
  await call("macvlan", "CHECK", { ...config, prevResult: result });
  await call("macvlan", "DEL", config);
  expect(addresses()).toBe("");
});

test("the dispatcher gives a pod the default network and that of its annotation, and takes both away", async () => {
  const lan = { cniVersion: "1.0.0", name: "lan", type: "macvlan", master, ipam: hostLocal("10.79.0.0/16") };
  write("manifests/lan.json", {
    apiVersion: "k8s.cni.cncf.io/v1",
    kind: "NetworkAttachmentDefinition",
    metadata: { namespace: "default", name: "lan" },
    spec: { config: JSON.stringify(lan) },
  });
  write("manifests/web.json", {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: "default", name: "web", annotations: { "k8s.v1.cni.cncf.io/networks": "lan" } },
  });
  install("--host-root", root);
  const conf = JSON.parse(runCommand(["cat", path("etc/cni/net.d/00-multus.conflist")])) as {
    readonly plugins: readonly object[];
  };
  const config = { ...conf.plugins[0], cniVersion: "1.0.0", name: "multus-cni-network" };
  await call("multus", "ADD", config);
  expect(addresses()).toMatch(/ eth0 +inet 10\.77\.[\s\S]* net1 +inet 10\.79\./);
  await call("multus", "DEL", config);
  expect(addresses()).toBe("");
  expect(readdirSync(path("var/lib/cni/multus")).filter((name) => name.startsWith("0123"))).toEqual([]);
});

test("a system with musl and no libstdc++, and one with neither C library, are refused with the cure; nothing is changed", () => {
  const bare = mkdtempSync("/var/lib/polynic-bare-");
  expect(install("--host-root", bare)).toMatchObject({
    exitCode: 1,
    said: expect.stringContaining("has neither glibc nor musl"),
  });
  cpSync(join(muslRoot(), "lib"), join(bare, "lib"), { recursive: true });
  expect(install("--host-root", bare)).toMatchObject({
    exitCode: 1,
    said: expect.stringContaining("apk add libstdc++"),
  });
  expect(readdirSync(path())).not.toContain("opt");
  // Links count from that node's own /.
  mkdirSync(join(bare, "usr/lib"), { recursive: true });
  symlinkSync("/lib/libstdc++.so.6.0", join(bare, "usr/lib/libstdc++.so.6"));
  cpSync(join(muslRoot(), "usr/lib/libstdc++.so.6"), join(bare, "lib/libstdc++.so.6.0"));
  expect(install("--host-root", bare).exitCode).toBe(0);
});

test("`check` says which build the system can start", () => {
  const command = [join(polynicBin, "polynic"), "check", "--pre", "-o", "json", "--host-root", root];
  const findings = JSON.parse(Bun.spawnSync(command, { env: { PATH: searchPath } }).stdout.toString()) as object[];
  expect(findings).toContainEqual(
    expect.objectContaining({
      code: "system-libc",
      verdict: "ok",
      message: expect.stringMatching(/ld-musl-.*its system can start the musl build$/),
    }),
  );
});
