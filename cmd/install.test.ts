// Every flag of Multus' thin_entrypoint and install_multus, by the names and with the values that manifests have, and what it does here. The
// executable itself stays where it is: src/install/install.test.ts and test/cri look at that.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { commandWords } from "./aliases.ts";
import { capture } from "./captured.test-data.ts";

const primary = { cniVersion: "0.4.0", name: "primary", type: "bridge" };
let folder = "";
const path = (...names: string[]): string => join(folder, ...names);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "polynic-install-"));
  for (const name of ["bin", "net.d", "other", "account"]) mkdirSync(path(name));
  writeFileSync(path("net.d/20-primary.conf"), JSON.stringify(primary));
  writeFileSync(path("net.d/30-second.conf"), JSON.stringify({ ...primary, name: "second" }));
  writeFileSync(path("other/10-other.conf"), JSON.stringify({ ...primary, name: "other" }));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** Runs a program of Multus' image; FOLDER in its flags is the test's. Throws what it says when it fails. */
async function run(program: string, ...flags: readonly string[]): Promise<string> {
  const folders = [`--cni-bin-dir=${path("bin")}`, `--cni-conf-dir=${path("net.d")}`];
  const given = flags.map((each) => each.replace("FOLDER", folder));
  const words = commandWords(program, [...folders, "--skip-config-watch", "--timeout=0", ...given]);
  const { exitCode, error } = await capture(...words);
  if (exitCode !== 0) throw new Error(error);
  return error;
}

function conf(): Record<string, unknown> {
  const [name = ""] = readdirSync(path("net.d")).filter((each) => each.startsWith("00-multus"));
  const { plugins, ...rest } = JSON.parse(readFileSync(path("net.d", name), "utf8")) as Record<string, unknown>;
  return { file: name, ...rest, ...(plugins as object[] | undefined)?.[0] };
}

describe("thin_entrypoint", () => {
  const plain = { file: "00-multus.conf", name: "multus-cni-network", cniVersion: "0.4.0", type: "multus" };

  test.each<[string, readonly string[], object]>([
    ["says nothing but what is needed", [], { ...plain, logToStderr: true, delegates: [primary] }],
    [
      "--cni-version",
      ["--cni-version=1.0.0"],
      { file: "00-multus.conflist", cniVersion: "1.0.0", delegates: [primary] },
    ],
    [
      "--force-cni-version",
      ["--cni-version=0.3.1", "--force-cni-version=true"],
      { cniVersion: "0.3.1", delegates: [{ ...primary, cniVersion: "0.3.1" }] },
    ],
    ["--multus-conf-file=auto", ["--multus-conf-file=auto"], plain],
    ["--multus-bin-file", ["--multus-bin-file=/usr/src/multus-cni/bin/multus"], plain],
    [
      "--multus-cni-conf-dir",
      ["--multus-cni-conf-dir=/host/etc/cni/multus/net.d"],
      { confDir: "/etc/cni/multus/net.d" },
    ],
    [
      "--multus-kubeconfig-file-host",
      ["--multus-kubeconfig-file-host=/etc/cni/net.d/multus.d/multus.kubeconfig"],
      { kubeconfig: "/etc/cni/net.d/multus.d/multus.kubeconfig" },
    ],
    [
      "--multus-master-cni-file-name",
      ["--multus-master-cni-file-name=30-second.conf"],
      { delegates: [{ name: "second" }] },
    ],
    ["--namespace-isolation", ["--namespace-isolation=true"], { namespaceIsolation: true }],
    ["--global-namespaces", ["--global-namespaces=a,b"], { globalNamespaces: "a,b" }],
    ["--multus-autoconfig-dir", ["--multus-autoconfig-dir=FOLDER/other"], { delegates: [{ name: "other" }] }],
    ["--multus-log-to-stderr", ["--multus-log-to-stderr=false"], { logToStderr: false }],
    ["--multus-log-level", ["--multus-log-level=verbose"], { logLevel: "verbose" }],
    ["--multus-log-file", ["--multus-log-file=/var/log/multus.log"], { logFile: "/var/log/multus.log" }],
    ["--override-network-name", ["--override-network-name=true"], { name: "primary" }],
    [
      "--readiness-indicator-file",
      ["--readiness-indicator-file=/no/such/file"],
      { readinessindicatorfile: "/no/such/file" },
    ],
    ["--additional-bin-dir", ["--additional-bin-dir=/home/kubernetes/bin"], { binDir: "/home/kubernetes/bin" }],
    ["flags with one hyphen", ["-namespace-isolation", "-cni-version", "0.3.1"], { cniVersion: "0.3.1" }],
  ])("%s", async (_, flags, want) => {
    await run("thin_entrypoint", "--skip-multus-binary-copy=true", ...flags);
    expect(conf()).toMatchObject(want);
    expect(readdirSync(path("bin"))).toEqual([]);
    expect(existsSync(path("net.d/multus.d"))).toBe(false);
  });

  test("--rename-conf-file hides the primary", async () => {
    await run("thin_entrypoint", "--skip-multus-binary-copy=true", "--rename-conf-file=true");
    expect(readdirSync(path("net.d")).sort()).toEqual(["00-multus.conf", "20-primary.conf.old", "30-second.conf"]);
  });

  test("--multus-conf-file puts a ready config into place", async () => {
    const text = '{ "name": "ready", "type": "multus", "clusterNetwork": "x" }';
    writeFileSync(path("ready.conf"), text);
    await run("thin_entrypoint", "--skip-multus-binary-copy=true", "--multus-conf-file=FOLDER/ready.conf");
    expect(readFileSync(path("net.d/00-multus.conf"), "utf8")).toBe(text);
  });

  test("in a pod it writes credentials, without a check of the server's where that is wished", async () => {
    vi.stubEnv("KUBERNETES_SERVICE_HOST", "fd00::1");
    vi.stubEnv("KUBERNETES_SERVICE_PORT", "443");
    for (const name of ["token", "ca.crt"]) writeFileSync(path("account", name), name);
    await run(
      "thin_entrypoint",
      "--skip-multus-binary-copy=true",
      "--skip-tls-verify",
      "--service-account=FOLDER/account",
    );
    expect(conf()["kubeconfig"]).toBe(path("net.d/multus.d/multus.kubeconfig"));
    expect(Bun.YAML.parse(readFileSync(path("net.d/multus.d/multus.kubeconfig"), "utf8"))).toMatchObject({
      clusters: [{ cluster: { server: "https://[fd00::1]:443", "insecure-skip-tls-verify": true } }],
    });
  });
});

test.each([["thin"], ["thick"]])(
  "install_multus -t %s places the executable and leaves the config alone",
  async (type) => {
    const said = await run(
      "install_multus",
      "-t",
      type,
      "-d",
      "FOLDER/other",
      "--plugins",
      "multus",
      "--skip-multus-binary-copy",
    );
    expect(said.includes("polynic has no daemon")).toBe(type === "thick");
    expect(readdirSync(path("net.d")).sort()).toEqual(["20-primary.conf", "30-second.conf"]);
  },
);
