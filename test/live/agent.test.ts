// Calls that an agent does: what comes out, and when a caller does without it.
import { join } from "node:path";
import { expect, test } from "vitest";
import { TestAgent } from "../kit/agent.ts";
import { type CniCall, type CniOutcome, mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { useLan, useTemporaryFolder } from "../kit/hooks.ts";
import { type Json, useSite } from "../kit/multus-site.ts";
import type { PinnedNetns } from "../kit/node-netns.ts";
import { snapshot } from "../kit/snapshot.ts";

const lan = useLan({ nodes: 2 });
const folder = useTemporaryFolder();
const site = useSite();

function macvlan(pod: PinnedNetns): CniCall {
  const ipam = { type: "host-local", subnet: "192.0.2.0/24", dataDir: join(folder().path, "leases") };
  const config = { cniVersion: "1.1.0", name: "lan", type: "macvlan", master: "eth0", ipam };
  const executable = join(polynicBin, "macvlan");
  return { executable, config, containerId: pod.name, ifName: "net1", netns: pod.path, node: lan().node() };
}

test("an agent does a pod's ADD, CHECK and DEL as the executable does", async () => {
  const node = lan().node();
  await using agent = await TestAgent.start({ node, folder: folder().path });
  using pod = node.pod();
  const before = [snapshot(node.path), snapshot(pod.path)];
  const call = agent.through(macvlan(pod));
  const { result } = await mustCallCni({ ...call, command: "ADD" });
  expect(result).toMatchObject({ interfaces: [{ name: "net1", sandbox: pod.path }], ips: [{ interface: 0 }] });
  const config = { ...(call.config as object), prevResult: result };
  await mustCallCni({ ...call, command: "CHECK", config });
  await mustCallCni({ ...call, command: "DEL", config });
  expect([snapshot(node.path), snapshot(pod.path)]).toEqual(before);
  await expect.poll(() => agent.calls(), { timeout: 60_000 }).toBe(3);
});

test("VERSION is answered without it", async () => {
  const node = lan().node();
  await using agent = await TestAgent.start({ node, folder: folder().path });
  using pod = node.pod();
  await mustCallCni({ ...agent.through(macvlan(pod)), command: "VERSION" });
  expect(agent.calls()).toBe(0);
});

test("a call from another network namespace is not taken", async () => {
  await using agent = await TestAgent.start({ node: lan().node(1), folder: folder().path });
  using pod = lan().node().pod();
  const call = agent.through(macvlan(pod));
  await mustCallCni({ ...call, command: "ADD" });
  await mustCallCni({ ...call, command: "DEL" });
  expect(agent.calls()).toBe(0);
});

/** Said by every call that reads the whole config. */
const badLevel = { logLevel: "loud" };
const warning = /logLevel: "loud" is none of/;

test("a DEL of what is deleted already is answered without it, and every other one is handed over with its whole config", async () => {
  const here = site();
  await using agent = await TestAgent.start({ node: here.node, folder: here.path() });
  const pod = here.pod();
  const call = (command: string, conf: Json): Promise<CniOutcome> =>
    mustCallCni(agent.through(here.cniCall(command, pod, { conf, netns: command === "DEL" ? "" : pod.netns.path })));
  const calls = (count: number) => expect.poll(() => agent.calls(), { timeout: 60_000 }).toBe(count);
  await call("ADD", {});
  // The caller has read what the agent's worker reads the config from.
  expect((await call("DEL", badLevel)).stderr).toMatch(warning);
  await calls(2);
  // More than what is read before; and where the hour has turned, this renews the mark.
  for (const bytes of [20_000, 200_000])
    expect((await call("DEL", { ...badLevel, padding: "x".repeat(bytes) })).stderr).toMatch(warning);
  await calls(4);
  expect((await call("DEL", badLevel)).stderr).toBe("");
  await calls(4);
});
