// Installs into folders of their own; a small file stands for the executable, since only its bytes matter here.
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { noConf, TestFolder } from "./folder.test-data.ts";
import {
  installConf,
  installCredentials,
  installExecutable,
  type InstallOptions,
  makeFolders,
  repairExecutable,
  waitForConf,
} from "./install.ts";
import { type UninstallOptions, uninstall } from "./uninstall.ts";

const folder = new TestFolder();
const path = (...names: string[]): string => join(folder.path, ...names);
const read = (...names: string[]): string => readFileSync(path(...names), "utf8");
const names = (name: string): string[] => readdirSync(path(name)).sort();
const said: string[] = [];

function options(over: Partial<InstallOptions> = {}): InstallOptions {
  return {
    source: path("source"),
    version: "1",
    binDir: path("bin"),
    confDir: path("net.d"),
    plugins: ["multus", "macvlan"],
    replaces: false,
    primaryDir: path("net.d"),
    primaryFile: "",
    confFile: "",
    hidesPrimary: false,
    conf: { ...noConf, logToStderr: true },
    credentials: { account: path("account"), host: "10.96.0.1", port: "443", skipsVerification: false },
    say: (line) => said.push(line),
    ...over,
  };
}

const uninstallOptions = (): UninstallOptions => ({
  executable: path("bin/multus"),
  binDir: path("bin"),
  confDir: path("net.d"),
  cniDir: path("cni"),
  stateDir: path("state"),
  settleMs: 0,
  drainTimeoutMs: 0,
  detaches: false,
  credentials: options().credentials,
  say: (line) => said.push(line),
});

const bridge = { cniVersion: "1.0.0", name: "primary", plugins: [{ type: "bridge", capabilities: { ips: true } }] };

beforeEach(() => {
  folder.clear();
  for (const name of ["bin", "net.d", "account"]) mkdirSync(path(name));
  said.length = 0;
  folder.write("source", "executable 1");
  folder.write("net.d/10-bridge.conflist", bridge);
});

describe("the executable", () => {
  test("lies under its version's name, with a link for each plugin", async () => {
    await installExecutable(options());
    expect(read("bin", "polynic-1")).toBe("executable 1");
    expect(statSync(path("bin/polynic-1")).mode & 0o777).toBe(0o755);
    expect(names("bin").map((name) => [name, lstatSync(path("bin", name)).isSymbolicLink()])).toEqual([
      ["macvlan", true],
      ["multus", true],
      ["polynic-1", false],
    ]);
    expect(readlinkSync(path("bin/multus"))).toBe("polynic-1");
  });

  test("is not written again when it is the same", async () => {
    await installExecutable(options());
    const { ino, mtimeMs } = statSync(path("bin/polynic-1"));
    said.length = 0;
    await installExecutable(options());
    expect(statSync(path("bin/polynic-1"))).toMatchObject({ ino, mtimeMs });
    expect(said).toEqual([]);
  });

  test("of other bytes under the same version is another file: who runs the old one keeps it", async () => {
    await installExecutable(options());
    const { ino } = statSync(path("bin/polynic-1"));
    folder.write("source", "executable x");
    await installExecutable(options());
    expect(read("bin", "multus")).toBe("executable x");
    expect(statSync(path("bin/polynic-1")).ino).not.toBe(ino);
  });

  test("of the version before stays, older ones go, and so does what a killed install left", async () => {
    folder.write("bin/.polynic-0.tmp", "half");
    for (const version of ["1", "2", "3"]) {
      folder.write("source", `executable ${version}`);
      await installExecutable(options({ version }));
    }
    expect(names("bin")).toEqual(["macvlan", "multus", "polynic-2", "polynic-3"]);
    expect(read("bin", "macvlan")).toBe("executable 3");
  });

  test("never takes the place of somebody else's file unasked: nothing is linked then", async () => {
    folder.write("bin/macvlan", "theirs");
    await expect(installExecutable(options())).rejects.toMatchObject({
      code: "foreign",
      message: expect.stringContaining(`${path("bin/macvlan")} did not come from polynic; --replace`),
    });
    expect(names("bin")).toEqual(["macvlan"]);
    expect(read("bin", "macvlan")).toBe("theirs");
  });

  test("needs a folder that can be made: the line says which, and what names it", () => {
    folder.write("file", "");
    expect(() => makeFolders(options({ binDir: path("file/bin") }))).toThrow(
      expect.objectContaining({
        code: "folder",
        message: expect.stringMatching(/file\/bin can't be made.*--cni-bin-dir/),
      }),
    );
  });

  test("comes back when its folder was emptied, but not in place of a newer one", async () => {
    await installExecutable(options());
    for (const name of readdirSync(path("bin"))) rmSync(path("bin", name));
    await repairExecutable(options());
    expect(read("bin", "multus")).toBe("executable 1");
    folder.write("newer", "executable 2");
    await installExecutable(options({ source: path("newer"), version: "2" }));
    await repairExecutable(options());
    expect(read("bin", "multus")).toBe("executable 2");
  });
});

describe("the config", () => {
  const conf = (name = "00-multus.conflist") => JSON.parse(read("net.d", name)) as Record<string, unknown>;

  test("has the primary as its delegate, and is readable by root only", async () => {
    expect(await installConf(options())).toEqual([]);
    expect(conf()).toEqual({
      cniVersion: "1.0.0",
      name: "multus-cni-network",
      plugins: [{ type: "multus", capabilities: { ips: true }, logToStderr: true, delegates: [bridge] }],
    });
    expect(statSync(path("net.d/00-multus.conflist")).mode & 0o777).toBe(0o600);
  });

  test("of an older version is a single plugin's, and the one of the other name goes", async () => {
    await installConf(options());
    folder.write("net.d/10-bridge.conflist", { cniVersion: "0.3.1", name: "primary", type: "bridge" });
    await installConf(options());
    expect(names("net.d")).toEqual(["00-multus.conf", "10-bridge.conflist"]);
    expect(conf("00-multus.conf")).toMatchObject({ cniVersion: "0.3.1", type: "multus" });
  });

  test("stays as it was when the primary vanishes, is empty or half written", async () => {
    await installConf(options());
    const before = read("net.d/00-multus.conflist");
    for (const content of ["", '{"cniVersion": "1.0.0", "na']) {
      folder.write("net.d/10-bridge.conflist", content);
      expect(await installConf(options())).toEqual([expect.stringContaining("10-bridge.conflist: ")]);
    }
    rmSync(path("net.d/10-bridge.conflist"));
    expect(await installConf(options())).toEqual([`there is no CNI config in ${path("net.d")}`]);
    await waitForConf(options(), 0);
    expect(said.at(-1)).toContain("kept 00-multus.conflist as it was: there is no CNI config");
    expect(read("net.d/00-multus.conflist")).toBe(before);
  });

  test("waits for a primary, and says after the time that there is none", async () => {
    rmSync(path("net.d/10-bridge.conflist"));
    await expect(waitForConf(options(), 0)).rejects.toMatchObject({ code: "primary" });
    const waiting = waitForConf(options(), 60_000);
    folder.write("net.d/10-bridge.conflist", bridge);
    await waiting;
    expect(conf()["name"]).toBe("multus-cni-network");
  });

  test("keeps a primary that it has hidden, whatever other configs there are; one that is written anew is hidden again", async () => {
    folder.write("net.d/20-other.conf", { cniVersion: "1.0.0", name: "other", type: "bridge" });
    const hiding = options({ hidesPrimary: true });
    for (let round = 0; round < 2; round++) expect(await installConf(hiding)).toEqual([]);
    const files = ["00-multus.conflist", "10-bridge.conflist.old", "20-other.conf"];
    expect(names("net.d")).toEqual(files);
    expect(conf()).toMatchObject({ plugins: [{ delegates: [bridge] }] });
    const verbose = { ...hiding, conf: { ...hiding.conf, logLevel: "verbose" } };
    expect(await installConf(verbose)).toEqual([]);
    expect(conf()).toMatchObject({ plugins: [{ logLevel: "verbose", delegates: [bridge] }] });
    const changed = { ...bridge, plugins: [{ type: "ptp" }] };
    folder.write("net.d/10-bridge.conflist", changed);
    expect(await installConf(hiding)).toEqual([]);
    expect(names("net.d")).toEqual(files);
    expect(conf()).toMatchObject({ plugins: [{ delegates: [changed] }] });
  });

  test("that is named is put into place as it is; one of another type is refused", async () => {
    const text = '{"name": "n", "type": "multus", "clusterNetwork": "x"}';
    expect(await installConf(options({ confFile: folder.write("ready.conf", text) }))).toEqual([]);
    expect(read("net.d/00-multus.conf")).toBe(text);
    const wrong = folder.write("wrong.conf", bridge);
    await expect(installConf(options({ confFile: wrong }))).rejects.toMatchObject({ code: "config" });
    await expect(installConf(options({ confFile: path("none") }))).rejects.toMatchObject({
      code: "config",
      message: expect.stringContaining(`${path("none")}: ENOENT`),
    });
    expect(read("net.d/00-multus.conf")).toBe(text);
  });
});

describe("the credentials", () => {
  beforeEach(() => {
    folder.write("account/token", "first\n");
    folder.write("account/ca.crt", "CA");
  });

  test("are a token and a kubeconfig that names its file, for root only; a new token leaves the kubeconfig alone", async () => {
    expect(await installCredentials(options())).toBe(true);
    const kubeconfig = statSync(path("net.d/multus.d/multus.kubeconfig"));
    expect(Bun.YAML.parse(read("net.d/multus.d/multus.kubeconfig"))).toMatchObject({
      clusters: [{ cluster: { server: "https://10.96.0.1:443", "certificate-authority-data": btoa("CA") } }],
      users: [{ user: { tokenFile: "token" } }],
    });
    folder.write("account/token", "second");
    expect(await installCredentials(options())).toBe(true);
    expect(read("net.d/multus.d/token")).toBe("second");
    expect(statSync(path("net.d/multus.d/multus.kubeconfig")).ino).toBe(kubeconfig.ino);
    for (const name of ["token", "multus.kubeconfig"])
      expect(statSync(path("net.d/multus.d", name)).mode & 0o777).toBe(0o600);
    expect(await installCredentials(options())).toBe(false);
  });

  test("are left out where this is no pod", async () => {
    expect(await installCredentials(options({ credentials: { ...options().credentials, host: "" } }))).toBe(false);
    expect(existsSync(path("net.d/multus.d"))).toBe(false);
  });
});

describe("uninstall", () => {
  test("leaves what was there before: nothing of ours, and the files that were replaced", async () => {
    folder.write("bin/macvlan", "theirs");
    symlinkSync("macvlan", path("bin/multus"));
    folder.write("account/token", "t");
    folder.write("account/ca.crt", "CA");
    const all = options({ replaces: true });
    for (const version of ["1", "2"]) await installExecutable({ ...all, version });
    await installCredentials(all);
    await installConf(all);
    expect(read("bin", "multus")).toBe("executable 1");
    await uninstall(uninstallOptions());
    expect(names("bin")).toEqual(["macvlan", "multus"]);
    expect(read("bin", "multus")).toBe("theirs");
    expect(readlinkSync(path("bin/multus"))).toBe("macvlan");
    expect(names("net.d")).toEqual(["10-bridge.conflist"]);
  });

  test("gives the primary its name back", async () => {
    await installConf(options({ hidesPrimary: true }));
    expect(names("net.d")).toEqual(["00-multus.conflist", "10-bridge.conflist.old"]);
    folder.write("net.d/20-other.conf.old", { name: "other" });
    await uninstall(uninstallOptions());
    expect(names("net.d")).toEqual(["10-bridge.conflist", "20-other.conf.old"]);
  });

  test("writes the default network from the config where there is no other any more", async () => {
    await installConf(options());
    rmSync(path("net.d/10-bridge.conflist"));
    await uninstall(uninstallOptions());
    expect(names("net.d")).toEqual(["10-primary.conflist"]);
    expect(JSON.parse(read("net.d/10-primary.conflist"))).toEqual(bridge);
  });

  test("refuses a folder that is not there before anything is changed", async () => {
    await installConf(options());
    const before = names("net.d");
    await expect(uninstall({ ...uninstallOptions(), binDir: path("nowhere") })).rejects.toMatchObject({
      code: "folder",
      message: expect.stringContaining(`open ${path("nowhere")}: no such file or directory; `),
    });
    expect(names("net.d")).toEqual(before);
  });

  test("goes on with credentials of its own, since those of the pod that installed end with it", async () => {
    folder.write("account/token", "installer's");
    folder.write("account/ca.crt", "CA");
    await installExecutable(options());
    await installConf(options());
    await installCredentials(options());
    folder.write("own/token", "own");
    folder.write("own/ca.crt", "CA");
    folder.write("cni/abc", "not a journal");
    const credentials = { ...options().credentials, account: path("own") };
    await expect(uninstall({ ...uninstallOptions(), credentials })).rejects.toMatchObject({ code: "busy" });
    expect(read("net.d/multus.d/token")).toBe("own");
    rmSync(path("cni/abc"));
    await uninstall({ ...uninstallOptions(), credentials });
    expect(names("net.d")).toEqual(["10-bridge.conflist"]);
  });

  test("makes no credentials where an install has made none", async () => {
    folder.write("own/token", "own");
    folder.write("own/ca.crt", "CA");
    await uninstall({ ...uninstallOptions(), credentials: { ...options().credentials, account: path("own") } });
    expect(names("net.d")).toEqual(["10-bridge.conflist"]);
  });

  test("says which pods still hold networks, with the runtime's own config in force already; called again it goes on", async () => {
    await installExecutable(options());
    await installConf(options());
    folder.write("cni/abc", "not a journal");
    await expect(uninstall(uninstallOptions())).rejects.toMatchObject({
      code: "busy",
      message: expect.stringContaining("1 pods still hold networks; new pods already do without polynic"),
    });
    expect(names("net.d")).toEqual([".00-multus.uninstalling", "10-bridge.conflist"]);
    expect(read("bin", "multus")).toBe("executable 1");
    rmSync(path("cni/abc"));
    await uninstall(uninstallOptions());
    expect(names("net.d")).toEqual(["10-bridge.conflist"]);
    expect(names("bin")).toEqual([]);
  });
});
