// `polynic check` on a node of folders: what it says of a good install, and of everything that can be wrong with one.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import type { Finding } from "../../src/preflight/finding.ts";
import { polynicBin } from "../kit/cni-caller.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { NodeNetns } from "../kit/node-netns.ts";
import { searchPath } from "../kit/packages.ts";
import { snapshot } from "../kit/snapshot.ts";

const folder = useTemporaryFolder();
const path = (...names: string[]): string => join(folder().path, ...names);
const primary = { cniVersion: "1.0.0", name: "primary", plugins: [{ type: "bridge", ipam: { type: "host-local" } }] };

function polynic(verb: string, ...args: readonly string[]): { readonly exitCode: number; readonly out: string } {
  const folders = ["--cni-bin-dir", path("bin"), "--cni-conf-dir", path("net.d"), "--cni-dir", path("cni")];
  const done = Bun.spawnSync([join(polynicBin, "polynic"), verb, ...folders, ...args], { env: { PATH: searchPath } });
  return { exitCode: done.exitCode, out: done.stdout.toString() };
}

function check(...args: readonly string[]): { readonly exitCode: number; readonly findings: Map<string, Finding> } {
  const { exitCode, out } = polynic("check", "-o", "json", ...args);
  const findings = JSON.parse(out) as Finding[];
  return { exitCode, findings: new Map(findings.map((finding) => [finding.code, finding])) };
}

beforeEach(() => {
  rmSync(path("cni"), { force: true });
  for (const name of ["bin", "net.d"]) {
    rmSync(path(name), { recursive: true, force: true });
    mkdirSync(path(name));
  }
  folder().write("net.d/10-primary.conflist", primary);
  expect(polynic("install").exitCode).toBe(0);
});

test("a good install has no failed line, exit code 0, and the probes leave the node as it was", () => {
  const before = snapshot("/proc/self/ns/net");
  const { exitCode, findings } = check();
  expect([...findings.values()].filter(({ verdict }) => verdict === "failed")).toEqual([]);
  expect(exitCode).toBe(0);
  expect(findings.get("conf-delegate")?.message).toBe('the default network is "primary" (bridge)');
  expect(findings.get("conf-keys")?.verdict).toBe("ok");
  expect(findings.get("portmap-backend")?.message).toMatch(/^port mappings would be made by (iptables|nftables)/);
  expect(snapshot("/proc/self/ns/net")).toEqual(before);
});

test("what the kernel can do is what iproute2, nft and iptables find", () => {
  using node = new NodeNetns();
  node.ip("link add up0 type veth peer name up1");
  const can = (...command: readonly string[]): string =>
    Bun.spawnSync(["ip", "netns", "exec", node.name, ...command], { env: { PATH: searchPath } }).success
      ? "ok"
      : "warning";
  const link = (...words: readonly string[]): string => can("ip", "link", "add", ...words);
  const { findings } = check();
  const found = [...findings.values()].filter(({ code }) => code.startsWith("kernel-"));
  expect(Object.fromEntries(found.map(({ code, verdict }) => [code, verdict]))).toEqual({
    "kernel-veth": "ok",
    "kernel-bridge": link("b0", "type", "bridge"),
    "kernel-macvlan": link("link", "up0", "name", "m0", "type", "macvlan", "mode", "bridge"),
    "kernel-ipvlan": link("link", "up0", "name", "i0", "type", "ipvlan", "mode", "l2"),
    "kernel-vlan": link("link", "up0", "name", "v0", "type", "vlan", "id", "100"),
    "kernel-vrf": link("f0", "type", "vrf", "table", "100"),
    "kernel-nftables": can("nft", "list", "ruleset"),
    "kernel-iptables": can("iptables", "-t", "nat", "-S"),
  });
  for (const { verdict, cure } of found) expect(cure === "").toBe(verdict === "ok");
});

test("two configs of the dispatcher are a warning: only the first counts", () => {
  folder().write("net.d/00-multus.conf", { cniVersion: "0.4.0", name: "old", type: "multus", delegates: [primary] });
  const { exitCode, findings } = check();
  expect(exitCode).toBe(0);
  expect(findings.get("conf-single")).toMatchObject({
    verdict: "warning",
    message: "00-multus.conf and 00-multus.conflist are both there",
  });
});

test("a key of the dispatcher's config that nobody reads is a warning when it comes near one", () => {
  const plugins = [{ type: "multus", logLevle: "debug", clusterNetwork: "x", provider: "ours" }];
  folder().write("net.d/00-multus.conflist", { cniVersion: "1.0.0", name: "m", plugins });
  const { exitCode, findings } = check();
  expect(exitCode).toBe(0);
  expect(findings.get("conf-keys")).toMatchObject({
    verdict: "warning",
    message: "$.logLevle: nobody reads this key; did you mean logLevel?",
  });
});

test("before the install nothing that it makes is asked for", () => {
  for (const name of ["bin", "net.d"]) rmSync(path(name), { recursive: true });
  const { exitCode, findings } = check("--pre");
  expect(exitCode).toBe(0);
  expect(findings.get("folder-plugins")?.message).toContain("will be made");
  expect(findings.get("install-executable")?.verdict).toBe("skipped");
});

describe("what is wrong is said under its own code", () => {
  test.each<[string, () => void, string]>([
    ["install-executable", () => rmSync(path("bin/multus")), "there is no "],
    [
      "install-executable",
      () => {
        rmSync(path("bin/multus"));
        folder().write("bin/multus", "somebody else's");
      },
      "did not come from polynic",
    ],
    ["conf-order", () => folder().write("net.d/00-aaa.conf", { ...primary.plugins[0], name: "a" }), "before 00-multus"],
    ["conf-order", () => folder().write("net.d/00-aaa.conf", "{"), "can't be read"],
    ["conf-order", () => rmSync(path("net.d/00-multus.conflist")), "polynic is not in it"],
    [
      "conf-self",
      () => {
        const inner = { type: "multus", name: "inner", delegates: [{ name: "x", type: "bridge" }] };
        const plugins = [{ type: "multus", delegates: [{ name: "list", plugins: [inner] }] }];
        folder().write("net.d/00-multus.conflist", { cniVersion: "1.0.0", name: "m", plugins });
      },
      "is a dispatcher again",
    ],
    [
      "conf-delegate",
      () =>
        folder().write("net.d/00-multus.conflist", { cniVersion: "1.0.0", name: "m", plugins: [{ type: "multus" }] }),
      "no delegates and no clusterNetwork",
    ],
    [
      "conf-keys",
      () => {
        const plugins = [{ type: "multus", delegateTimeout: "2m", clusterNetwork: "x" }];
        folder().write("net.d/00-multus.conflist", { cniVersion: "1.0.0", name: "m", plugins });
      },
      'refuses its config, and every pod: multus config: $.delegateTimeout: expected an integer from 1 to 3600, found "2m"',
    ],
    [
      "conf-readiness",
      () => {
        const plugins = [{ type: "multus", readinessindicatorfile: "/nowhere", clusterNetwork: "x" }];
        folder().write("net.d/00-multus.conflist", { cniVersion: "1.0.0", name: "m", plugins });
      },
      "/nowhere is not there",
    ],
    ["folder-plugins", () => rmSync(path("bin"), { recursive: true }), "does not exist"],
    [
      "folder-configs",
      () => {
        rmSync(path("net.d"), { recursive: true });
        folder().write("net.d", "");
      },
      "net.d can't be written",
    ],
    ["folder-journal", () => folder().write("cni", "no folder"), "nothing can be journaled in "],
    [
      "kubeconfig",
      () => {
        const plugins = [{ type: "multus", kubeconfig: path("none"), clusterNetwork: "x" }];
        folder().write("net.d/00-multus.conflist", { cniVersion: "1.0.0", name: "m", plugins });
      },
      "no such file or directory",
    ],
    ["system-libc", () => {}, "its system can't start polynic"],
  ])("%s", (code, spoil, message) => {
    spoil();
    const { exitCode, findings } = check(...(code === "system-libc" ? ["--host-root", path("bin")] : []));
    expect(exitCode).toBe(1);
    expect(findings.get(code)).toMatchObject({ verdict: "failed", message: expect.stringContaining(message) });
    expect(findings.get(code)?.cure).not.toBe("");
  });
});
