// The controller as it is started, and the verbs for people, on a real API server with the rights of deploy/.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, inject, test } from "vitest";
import { indexId } from "../../src/pool/claim.ts";
import type { Account } from "../kit/cluster.ts";
import { ConfigMapVolume } from "../kit/config-map-volume.ts";
import { polynicBin } from "../kit/cni-caller.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { IpamSide } from "../kit/ipam-side.ts";
import { eventually, IpamWorld } from "../kit/ipam-world.ts";

const folder = useTemporaryFolder();
const range = "10.0.0.0/24";
const pool = "10.0.0.0-24";
let world: IpamWorld;
let children: Bun.Subprocess[];
let unique = 0;
/** Pods and nodes are the whole cluster's: names of this test's own. */
let prefix: string;

beforeEach(async () => {
  world = await IpamWorld.make(inject("api"));
  children = [];
  prefix = `${world.namespace}-${unique++}`;
});
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(children.map((child) => child.exited));
  await world.clear();
});

/** Starts the executable under one of its names; its log is in the file returned. */
async function start(name: string, args: readonly string[], account: Account = "polynic-ipam") {
  const kubeconfig = folder().write(`${account}.kubeconfig`, await world.kubeconfig(account));
  const log = `${folder().path}/log-${unique++}`;
  const child = Bun.spawn([`${polynicBin}/${name}`, ...args, "--kubeconfig", kubeconfig], {
    stdio: ["ignore", "ignore", Bun.file(log)],
    env: { WHEREABOUTS_NAMESPACE: world.namespace },
  });
  children.push(child);
  return { child, log: () => (existsSync(log) ? readFileSync(log, "utf8") : "") };
}

const controller = ["controller", "ipam", "--gc-schedule", "@every 1s", "--gc-confirm-after", "1"];
const entry = (address: string, podref: string) => ({ id: indexId(`c-${address}`), podref, ifname: "net1" });

test("it keeps the index, releases what has no holder, tells of it, and stops when told to", async () => {
  await world.node(`${prefix}-n`);
  const uid = await world.pod(`${prefix}-a`, { node: `${prefix}-n` });
  const node = `${prefix}-n`;
  await world.claim({ range, address: "10.0.0.1", podref: `default/${prefix}-a`, podUid: uid, node });
  await world.claim({ range, address: "10.0.0.2", podref: `default/${prefix}-gone`, podUid: "x", node });
  await world.goPool("10.7.0.0/24", { "1": `default/${prefix}-a`, "2": `default/${prefix}-gone` }, true);
  const { child, log } = await start("polynic", controller);
  const kept = { "1": entry("10.0.0.1", `default/${prefix}-a`) };
  expect(await eventually(() => world.map(pool), kept)).toEqual(kept);
  expect(await eventually(() => world.held(), ["10.0.0.1", "10.7.0.1"])).toEqual(["10.0.0.1", "10.7.0.1"]);
  expect(Object.keys(await world.map("10.7.0.0-24"))).toEqual(["1"]);
  // It is said when all of a pass is done.
  const said = /gc: \d+ holdings in 2 pools, \d without a holder, \d released, 0 failed, \d+ ms/;
  expect(await eventually(async () => said.test(log()), true)).toBe(true);
  const events = async () => {
    const path = `/api/v1/namespaces/default/events?fieldSelector=involvedObject.name=${prefix}-gone`;
    const { items } = (await world.admin.send("GET", path)) as unknown as {
      items: { reason: string; message: string }[];
    };
    return items.map(({ reason, message }) => `${reason} ${message.slice(0, 26)}`).toSorted();
  };
  const wanted = [
    "IPAddressGarbageCollected released address 10.0.0.2:",
    "IPAddressGarbageCollected released address 10.7.0.2:",
  ];
  // The entry and the reservation of one address are told of alike, which is one event that counts up.
  expect(await eventually(events, wanted)).toEqual(wanted);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
});

test("of two the second takes over when the first is killed", async () => {
  const first = await start("polynic", controller);
  await eventually(async () => first.log().includes("leading as"), true);
  const second = await start("polynic", controller);
  await world.claim({ range, address: "10.0.0.1", podref: "default/x" });
  await eventually(async () => Object.keys(await world.map(pool)), ["1"]);
  first.child.kill("SIGKILL");
  expect(await eventually(async () => second.log().includes("leading as"), true)).toBe(true);
});

test("a dry run tells and releases nothing", async () => {
  await world.claim({ range, address: "10.0.0.2", podref: `default/${prefix}-gone` });
  const { log } = await start("polynic", [...controller, "--dry-run"]);
  await eventually(async () => log().includes("would release 10.0.0.2"), true);
  expect(log()).toContain(
    `would release 10.0.0.2 (reservation 10.0.0.2, default/${prefix}-gone net1): pod default/${prefix}-gone is gone`,
  );
  expect(await world.held()).toEqual(["10.0.0.2"]);
});

describe("ip-control-loop", () => {
  test("runs with the arguments and the rights of GKE's manifest, which allow no election, and without NODENAME (WHEREABOUTS 332)", async () => {
    await world.claim({ range, address: "10.0.0.2", podref: `default/${prefix}-gone` });
    const args = ["--log-level=debug", "--enable-pod-watch=false", "--cron-schedule=@every 1s", "--confirm-after=1"];
    const { log } = await start("ip-control-loop", args, "gke");
    await eventually(async () => (await world.held()).length, 0);
    expect(log()).toContain("looking for leaked addresses without electing who does");
    expect(await world.held()).toEqual([]);
  });

  test("takes flags as Go programs do, and the rights of whereabouts", async () => {
    await world.claim({ range, address: "10.0.0.2", podref: `default/${prefix}-gone` });
    const args = ["-log-level", "verbose", "-cron-schedule", "@every 1s", "-confirm-after", "1"];
    await start("ip-control-loop", args, "whereabouts");
    expect(await eventually(() => world.held(), [])).toEqual([]);
  });
});

/** Runs "$@" on the machine's own files, which it can only read, with a folder more at the root, which only it sees. */
const withRootFolder = `set -e
root="$1" folder="$2" name="$3"
shift 3
mkdir "$root"
for each in /*; do
  if [ -L "$each" ]; then cp -P "$each" "$root"
  elif [ -d "$each" ]; then mkdir "$root$each"; mount -o bind,ro "$each" "$root$each"
  fi
done
mkdir -p "$root/$name"
mount --bind "$folder" "$root/$name"
exec chroot "$root" "$@"`;

test("ip-control-loop follows the ConfigMap that is mounted, as kubelet changes it", async () => {
  await world.claim({ range, address: "10.0.0.2", podref: `default/${prefix}-gone` });
  const volume = ConfigMapVolume.make(`${folder().path}/volume`, { config: "0 0 1 1 *\n" });
  const kubeconfig = folder().write("loop.kubeconfig", await world.kubeconfig("polynic-ipam"));
  const log = `${folder().path}/loop.log`;
  const program = [
    `${polynicBin}/ip-control-loop`,
    "--log-level=verbose",
    "--confirm-after=1",
    "--kubeconfig",
    kubeconfig,
  ];
  const places = [`${folder().path}/root`, volume.path, "cron-schedule"];
  const child = Bun.spawn(
    ["unshare", "--mount", "--propagation", "private", "sh", "-c", withRootFolder, "sh", ...places, ...program],
    { stdio: ["ignore", "ignore", Bun.file(log)], env: { ...process.env, WHEREABOUTS_NAMESPACE: world.namespace } },
  );
  children.push(child);
  const logged = async () => (existsSync(log) ? readFileSync(log, "utf8") : "");
  // Whoever keeps the index has read the schedule: there is none to fall back to before.
  expect(await eventually(async () => Object.keys(await world.map(pool)), ["2"])).toEqual(["2"]);
  volume.update({ config: "nonsense\n" });
  const stays = 'the schedule stays "0 0 1 1 *": "nonsense" is no cron expression';
  await eventually(async () => (await logged()).includes(stays), true);
  expect(await logged()).toContain(stays);
  expect(await world.held()).toEqual(["10.0.0.2"]);
  volume.update({ config: "@every 1s\n" });
  expect(await eventually(() => world.held(), [])).toEqual([]);
  expect(await logged()).toContain('the schedule is "@every 1s" now');
});

interface Run {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function ipam(...args: readonly string[]): Promise<Run> {
  const kubeconfig = folder().write("people.kubeconfig", await world.kubeconfig("polynic-ipam"));
  const child = Bun.spawn([`${polynicBin}/polynic`, "ipam", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { KUBECONFIG: kubeconfig },
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

describe("polynic ipam", () => {
  test("shows pools, who holds what, and what is leaked; and releases what a report says and is still so", async () => {
    const node = `${prefix}-n`;
    await world.node(node);
    const uid = await world.pod(`${prefix}-a`, { node });
    const one = { range, address: "10.0.0.1", podref: `default/${prefix}-a`, podUid: uid, node };
    await world.claim(one);
    await world.claim({ range, address: "10.0.0.2", podref: `default/${prefix}-gone`, node });
    await world.goPool("10.7.0.0/24", { "1": `default/${prefix}-a`, "2": `default/${prefix}-gone` });
    const show = await ipam("show", "-o", "json");
    expect(JSON.parse(show.stdout)).toEqual({
      pools: [
        { pool, range, size: "254", used: 2, free: "252", leaked: 1, duplicate: 0, indexLag: 2 },
        {
          pool: "10.7.0.0-24",
          range: "10.7.0.0/24",
          size: "254",
          used: 2,
          free: "252",
          leaked: 1,
          duplicate: 0,
          indexLag: 0,
        },
      ],
    });
    expect((await ipam("show")).stdout).toMatch(
      /^POOL +RANGE +SIZE +USED +FREE +LEAKED +DUPLICATE +INDEX LAG\n10\.0\.0\.0-24 +10\.0\.0\.0\/24 +254 +2 +252 +1 +0 +2\n/,
    );
    const who = await ipam("who", "10.0.0.1", "-o", "json");
    expect(JSON.parse(who.stdout)).toMatchObject({
      holders: [{ pod: one.podref, uid, node, interface: "net1", pool }],
    });
    expect(await ipam("who", "10.0.0.9")).toMatchObject({
      exitCode: 1,
      stdout: expect.stringMatching(/^Nobody holds 10\.0\.0\.9 in namespace/),
    });
    const file = `${folder().path}/report.json`;
    expect(await ipam("check", "--report", file)).toMatchObject({
      exitCode: 1,
      stdout: expect.stringContaining(`pod default/${prefix}-gone is gone`),
    });
    expect(await ipam("release", "--from-report", file)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/try again in \d+ s/),
    });
    expect(await world.held()).toHaveLength(2);
    const report = JSON.parse(readFileSync(file, "utf8")) as { takenMs: number; leaked: object[] };
    // What the report does not say is not touched, leaked as it may be.
    await world.claim({ range, address: "10.0.0.3", podref: `default/${prefix}-gone`, node });
    writeFileSync(file, JSON.stringify({ ...report, takenMs: report.takenMs - 60_000 }));
    const release = await ipam("release", "--from-report", file);
    expect(release).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/10\.0\.0\.2 .*released/) });
    expect(await world.held()).toEqual(["10.0.0.1", "10.0.0.3"]);
    expect(Object.keys(await world.map("10.7.0.0-24"))).toEqual(["1"]);
  });

  test("what has got its holder back since the report is kept", async () => {
    await world.claim({ range, address: "10.0.0.2", podref: `default/${prefix}-back` });
    const file = `${folder().path}/report.json`;
    await ipam("check", "--report", file);
    const report = JSON.parse(readFileSync(file, "utf8")) as { takenMs: number };
    writeFileSync(file, JSON.stringify({ ...report, takenMs: report.takenMs - 60_000 }));
    await world.pod(`${prefix}-back`);
    expect(await ipam("release", "--from-report", file)).toMatchObject({
      exitCode: 1,
      stdout: expect.stringMatching(new RegExp(`10\\.0\\.0\\.2 .*kept +pod default/${prefix}-back uses it`)),
    });
    expect(await world.held()).toEqual(["10.0.0.2"]);
  });

  test("hands over to whereabouts: its DEL gives back what ours claimed, and nothing of ours keeps an object", async () => {
    const ours = await IpamSide.make("ours", world, `${folder().path}/ours`);
    const go = await IpamSide.make("go", world, `${folder().path}/go`);
    const scoped = { range: "10.8.0.0/24", over: { enable_overlapping_ranges: false } };
    const calls = [
      { range, sandbox: "one" },
      { ...scoped, sandbox: "two" },
    ];
    for (const call of calls) expect((await ours.call("ADD", call)).exitCode).toBe(0);
    // Shown, and claimed by nobody; claimed, deleted by somebody, and kept by our finalizer alone.
    await world.pools.patchPool(pool, [{ op: "add", key: "9", entry: entry("10.0.0.9", "default/gone") }]);
    await world.claim({ range, address: "10.0.0.7", podref: "default/x" });
    const folderOf = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces";
    await world.admin.send("DELETE", `${folderOf}/${world.namespace}/overlappingrangeipreservations/10.0.0.7`);
    expect(await ipam("hand-over")).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(
        /^4 entries of 2 pools and 2 reservations .* 1 reservations within one pool were removed/,
      ),
    });
    expect(await world.map(pool)).toMatchObject({ "1": { id: "one" }, "7": { id: "c-10.0.0.7" } });
    expect(await world.map("10.8.0.0-24")).toMatchObject({ "1": { id: "two" } });
    const left = await world.pools.listReservations();
    expect(left.map(({ name, finalizers }) => [name, finalizers])).toEqual([["10.0.0.1", []]]);
    for (const call of calls) await go.call("DEL", call);
    expect([Object.keys(await world.map(pool)), await world.map("10.8.0.0-24"), await world.held()]).toEqual([
      ["7"],
      {},
      [],
    ]);
    expect((await ipam("hand-over")).stdout).toMatch(/^0 entries of 2 pools and 0 reservations /);
  });

  test("two pods with one address are told of", async () => {
    await world.goPool(range, { "5": "default/go" });
    await world.claim({ range, address: "10.0.0.5", podref: "default/ours" });
    expect(await ipam("check")).toMatchObject({
      exitCode: 1,
      stdout: expect.stringMatching(
        /duplicate: 10\.0\.0\.5 of pool 10\.0\.0\.0-24 is held by default\/\w+ net1 and default\/\w+ net1/,
      ),
    });
  });
});
