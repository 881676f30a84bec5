import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ManifestPools } from "../src/cluster/pools/manifests.ts";
import { claimMetadata, indexId } from "../src/pool/claim.ts";
import { runCommandLine } from "./command-line.ts";
import { colours } from "./terminal.ts";

let folder: string;
let pools: ManifestPools;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "polynic-ipam-"));
  mkdirSync(join(folder, "pods"));
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "web", uid: "u1" }, spec: { nodeName: "node-1" } };
  writeFileSync(join(folder, "pods", "web.json"), JSON.stringify(pod));
  pools = new ManifestPools(folder);
});
afterEach(() => rmSync(folder, { recursive: true }));

async function run(...words: string[]) {
  let out = "";
  let error = "";
  const where = words.includes("--manifests") || words.includes("--kubeconfig") ? [] : ["--manifests", folder];
  const exitCode = await runCommandLine(["ipam", ...words, ...where], {
    out: async (text) => void (out += text),
    error: async (text) => void (error += text),
    colours: colours(false),
    errorColours: colours(false),
  });
  return { exitCode, out, error };
}

async function claim(last: number, podref: string, podUid: string): Promise<void> {
  const pool = "10.0.0.0-29";
  const address = `10.0.0.${last}`;
  const facts = { pool, range: "10.0.0.0/29", address, node: "node-1", podUid, ifName: "net1" };
  await pools.createPool(pool, facts.range);
  await pools.createReservation({
    name: address,
    owner: "o",
    ...claimMetadata(facts, `c${last}`),
    finalizers: [],
    podref,
    containerId: `c${last}`,
    ifName: "net1",
  });
  const entry = { id: indexId(`c${last}`), podref, ifname: "net1" };
  await pools.patchPool(pool, [{ op: "add", key: String(last), entry }]);
}

test("a kubeconfig that is missing", async () => {
  expect(await run("show", "--kubeconfig", "/nowhere/kubeconfig")).toEqual({
    exitCode: 2,
    out: "",
    error: "polynic: no kubeconfig at /nowhere/kubeconfig; name the cluster's by --kubeconfig FILE or $KUBECONFIG\n",
  });
});

test("a directory without pools", async () => {
  expect(await run("show")).toEqual({ exitCode: 0, out: "There are no pools.\n", error: "" });
  expect(await run("check")).toMatchObject({
    exitCode: 0,
    out: expect.stringContaining("0 addresses looked at in directory"),
  });
  expect(await run("who", "10.0.0.1")).toMatchObject({ exitCode: 1 });
});

test("pools of a directory of manifests: who holds what, what is leaked, and its release", async () => {
  await claim(1, "default/web", "u1");
  await claim(2, "default/gone", "u2");
  expect((await run("show")).out).toMatch(/^POOL .*\n10\.0\.0\.0-29 +10\.0\.0\.0\/29 +6 +2 +4 +1 +0 +0\n$/);
  expect((await run("who", "10.0.0.1")).out).toMatch(
    /\ndefault\/web +net1 +node-1 +\S+ +10\.0\.0\.0-29 +reservation 10\.0\.0\.1 +u1\n$/,
  );
  const file = join(folder, "report.txt");
  expect(await run("check", "--report", file)).toMatchObject({
    exitCode: 1,
    out: expect.stringContaining("pod default/gone is gone"),
  });
  const report = JSON.parse(readFileSync(file, "utf8")) as { takenMs: number };
  expect(await run("release", "--from-report", file)).toMatchObject({
    exitCode: 2,
    error: expect.stringContaining("try again in"),
  });
  writeFileSync(file, JSON.stringify({ ...report, takenMs: report.takenMs - 60_000 }));
  expect(await run("release", "--from-report", file)).toMatchObject({
    exitCode: 0,
    out: expect.stringMatching(/10\.0\.0\.2 .*released/),
  });
  expect(await pools.reservationNames()).toEqual(["10.0.0.1"]);
  expect(Object.keys((await pools.getPool("10.0.0.0-29"))?.allocations ?? {})).toEqual(["1"]);
  expect(await run("check")).toMatchObject({ exitCode: 0 });
});

test("claims that no map shows are nothing to be behind of: a directory has no controller", async () => {
  const facts = { pool: "10.0.0.0-31", range: "10.0.0.0/31", node: "node-1", podUid: "u1", ifName: "net1" };
  await pools.createPool(facts.pool, facts.range);
  const address = "10.0.0.0";
  const metadata = claimMetadata({ ...facts, address }, "c1");
  const holder = { podref: "default/web", containerId: "c1", ifName: "net1" };
  await pools.createReservation({ name: address, owner: "o", ...metadata, finalizers: [], ...holder });
  expect((await run("show")).out).toMatch(/\n10\.0\.0\.0-31 +10\.0\.0\.0\/31 +2 +1 +1 +0 +0 +0\n$/);
  expect((await run("check")).out).toMatch(/^1 addresses looked at .*: none is leaked, none is held twice\.\n$/);
});

test("a directory for pools alone, or with those of all plays, does not tell whether a pod is gone", async () => {
  await claim(1, "default/web", "u1");
  await claim(2, "default/elsewhere", "u2");
  const clean = expect.stringMatching(
    /^Not all pods are told of in .*: none counts as gone\.\n2 addresses looked at .*: none/,
  );
  const state = join(folder, ".state");
  renameSync(join(state, "whereabouts"), join(folder, "pools"));
  symlinkSync(join(folder, "pools"), join(state, "whereabouts"));
  expect(await run("check")).toMatchObject({ exitCode: 0, out: clean });
  rmSync(join(state, "whereabouts"));
  renameSync(join(folder, "pools"), join(state, "whereabouts"));
  expect(await run("check")).toMatchObject({
    exitCode: 1,
    out: expect.stringContaining("pod default/elsewhere is gone"),
  });
  rmSync(join(folder, "pods"), { recursive: true });
  expect(await run("check")).toMatchObject({ exitCode: 0, out: clean });
});

test("a report is about its directory, from wherever that is named", async () => {
  await claim(2, "default/gone", "u2");
  const file = join(folder, "report.txt");
  await run("check", "--report", file);
  const report = JSON.parse(readFileSync(file, "utf8")) as { takenMs: number };
  writeFileSync(file, JSON.stringify({ ...report, takenMs: report.takenMs - 60_000 }));
  expect(await run("release", "--from-report", file, "--manifests", relative(process.cwd(), folder))).toMatchObject({
    exitCode: 0,
    out: expect.stringMatching(/10\.0\.0\.2 .*released/),
  });
});

test.each([
  [["who", "10.0.0"], /"10\.0\.0" is no IP address/],
  [["release", "--from-report", "/nowhere"], /--from-report \/nowhere: .*; expected what "polynic ipam check --report/],
  [["check", "--report", "/nowhere/r"], /--report \/nowhere\/r: .*; name a file in a folder that can be written/],
  [["release"], /required option '--from-report <file>' not specified/],
])("%j is refused", async (words, message) => {
  expect(await run(...words)).toMatchObject({ exitCode: 2, error: expect.stringMatching(message) });
});
