// Election by a Lease on a real API server: one leader at a time, whatever becomes of the others.
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import { KubeClient } from "../../src/kube/client.ts";
import { Connection } from "../../src/kube/connection.ts";
import { lead, type LeaderTimes } from "../../src/kube/leader.ts";
import { silentLogger } from "../../src/log/logger.ts";
import { ApiProxy } from "../kit/api-proxy.ts";
import type { Account } from "../kit/cluster.ts";
import { KubeAdmin } from "../kit/kube-admin.ts";
import { accessOf } from "../kit/cluster.ts";

const namespace = "kube-system";
const name = "polynic-ipam";
/** A busy machine must not cost anybody the leadership. */
const times: LeaderTimes = { leaseMs: 8000, renewWithinMs: 5000, retryMs: 100 };
const requestTimeoutMs = 2000;
/** Some looks of a candidate. */
const aWhileMs = 2000;
const admin = () => new KubeAdmin(inject("api"));

/** What happened, in order: "a begins", "a ends". */
let story: string[];
let stops: AbortController[];
let ends: Promise<void>[];
beforeEach(async () => {
  [story, stops, ends] = [[], [], []];
  await admin().delete({ apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { namespace, name } });
});
afterEach(async () => {
  for (const stop of stops) stop.abort();
  await Promise.all(ends);
});

/** A candidate that leads until it is told to stop; `url` is how it reaches the server. */
async function candidate(identity: string, url = admin().server, account: Account = "polynic-ipam") {
  const access = await accessOf(inject("api"), account, url);
  const client = new KubeClient(new Connection(() => access), {
    timeoutMs: requestTimeoutMs,
    userAgent: "test",
    log: silentLogger,
  });
  const stop = new AbortController();
  const options = { namespace, name, identity, signal: stop.signal, log: silentLogger, times };
  const end = lead(client, options, async (signal) => {
    story.push(`${identity} begins`);
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    story.push(`${identity} ends`);
  });
  stops.push(stop);
  ends.push(end.catch(() => {}));
  return { stop, end };
}

async function until(what: string): Promise<void> {
  while (!story.includes(what)) await Bun.sleep(20);
}

const lease = async () =>
  (await admin().get({ apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { namespace, name } }))[
    "spec"
  ] as Record<string, unknown>;

test("the second leads when the first has stopped, and not before", async () => {
  const first = await candidate("a");
  await until("a begins");
  await candidate("b");
  // As long as it would take the second to see a Lease expire that is not renewed.
  await Bun.sleep(times.leaseMs * 1.25);
  expect(story).toEqual(["a begins"]);
  expect(await lease()).toMatchObject({
    holderIdentity: "a",
    leaseDurationSeconds: times.leaseMs / 1000,
    leaseTransitions: 0,
  });
  first.stop.abort();
  await until("b begins");
  expect(story).toEqual(["a begins", "a ends", "b begins"]);
  expect(await lease()).toMatchObject({ holderIdentity: "b", leaseTransitions: 1 });
});

test("a leader that can't reach the server has stopped before another one begins", async () => {
  using proxy = await ApiProxy.open(inject("api"));
  await candidate("a", `https://127.0.0.1:${proxy.port}`);
  await until("a begins");
  await candidate("b");
  proxy.plan(() => ({ kind: "hang" }));
  await until("b begins");
  expect(story).toEqual(["a begins", "a ends", "b begins"]);
  proxy.plan(() => ({ kind: "pass" }));
  await Bun.sleep(aWhileMs);
  expect(story).toHaveLength(3);
});

test("answers that are lost cost no leadership", async () => {
  using proxy = await ApiProxy.open(inject("api"));
  await candidate("a", `https://127.0.0.1:${proxy.port}`);
  await until("a begins");
  proxy.plan((_, occurrence) => ({ kind: occurrence % 2 === 0 ? "pass" : "reset-after" }));
  await Bun.sleep(times.leaseMs * 1.25);
  expect(story).toEqual(["a begins"]);
});

test("a Lease that a dead process holds is taken when its time is over", async () => {
  const spec = { holderIdentity: "dead", leaseDurationSeconds: 1, renewTime: "2020-01-01T00:00:00.000000Z" };
  await admin().create({
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { namespace, name },
    spec: { ...spec, acquireTime: spec.renewTime, leaseTransitions: 4 },
  });
  await candidate("a");
  await until("a begins");
  expect(await lease()).toMatchObject({ holderIdentity: "a", leaseTransitions: 5 });
});

test("without the rights there is an error that names the rule", async () => {
  const { end } = await candidate("a", admin().server, "nobody");
  await expect(end).rejects.toThrow(/lease kube-system\/polynic-ipam: user .* may not \(403 Forbidden\); .*leases/);
});
