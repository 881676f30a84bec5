// The programs that run for a whole cluster, told to end while its API server is away.
import { existsSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import { ApiProxy } from "../kit/api-proxy.ts";
import { polynicBin } from "../kit/cni-caller.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { eventually, IpamWorld } from "../kit/ipam-world.ts";

const folder = useTemporaryFolder();
/** A request alone is given half a minute: who waits for one ends later than this. */
const deadlineMs = 12_000;
let world: IpamWorld;
let child: Bun.Subprocess | undefined;
let unique = 0;

beforeEach(async () => {
  world = await IpamWorld.make(inject("api"));
});
afterEach(async () => {
  child?.kill("SIGKILL");
  await child?.exited;
  await world.clear();
});

/** Starts a program that leads, and looks for leaked addresses all the time. */
async function lead(words: readonly string[], proxy: ApiProxy): Promise<() => string> {
  const text = await world.kubeconfig("polynic-ipam", `https://127.0.0.1:${proxy.port}`);
  const kubeconfig = folder().write("kubeconfig", text);
  const log = `${folder().path}/log-${unique++}`;
  child = Bun.spawn([`${polynicBin}/polynic`, ...words, "--log-level", "debug", "--kubeconfig", kubeconfig], {
    stdio: ["ignore", "ignore", Bun.file(log)],
    env: { WHEREABOUTS_NAMESPACE: world.namespace },
  });
  const read = (): string => (existsSync(log) ? readFileSync(log, "utf8") : "");
  expect(await eventually(async () => /gc: \d+ holdings/.test(read()), true), read()).toBe(true);
  return read;
}

/** The exit code once the program is told to end; undefined when it goes on. */
async function told(): Promise<number | undefined> {
  child?.kill("SIGTERM");
  return await Promise.race([child?.exited, Bun.sleep(deadlineMs).then(() => undefined)]);
}

const programs: readonly [string, readonly string[]][] = [
  ["controller ipam", ["controller", "ipam", "--gc-schedule", "@every 1s"]],
  ["ip-control-loop", ["ip-control-loop", "--cron-schedule", "@every 1s"]],
];

test.each(programs)("%s ends although the server answers nothing any more", async (_, words) => {
  using proxy = await ApiProxy.open(inject("api"));
  const log = await lead(words, proxy);
  proxy.plan(() => ({ kind: "hang" }));
  // One that waits for its answer, and for longer than those about the Lease would.
  const isAsked = async (): Promise<boolean> => Object.keys(proxy.steps()).some((step) => step.startsWith("list "));
  expect(await eventually(isAsked, true)).toBe(true);
  expect(await told(), log()).toBe(0);
});

test.each(programs)("%s ends although the server is gone", async (_, words) => {
  const proxy = await ApiProxy.open(inject("api"));
  const log = await lead(words, proxy);
  proxy[Symbol.dispose]();
  expect(await eventually(async () => /list .*; trying again in/.test(log()), true), log()).toBe(true);
  expect(await told(), log()).toBe(0);
});

test.each(programs)("%s gives its Lease back when the server is there", async (_, words) => {
  using proxy = await ApiProxy.open(inject("api"));
  const log = await lead(words, proxy);
  expect(await told(), log()).toBe(0);
  const path = `/apis/coordination.k8s.io/v1/namespaces/${world.namespace}/leases/polynic-ipam`;
  expect(await world.admin.send("GET", path)).toMatchObject({ spec: { holderIdentity: "" } });
});
