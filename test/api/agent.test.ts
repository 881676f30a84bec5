// An agent keeps its connection to the API server from one call to the next: that must save one, and never serve with what has changed meanwhile.
import { expect, test } from "vitest";
import { TestAgent } from "../kit/agent.ts";
import { ApiProxy } from "../kit/api-proxy.ts";
import { expiredToken } from "../kit/cluster.ts";
import { callCni, type CniOutcome } from "../kit/cni-caller.ts";
import { errorOf } from "../kit/multus-site.ts";
import { useApiSite } from "./use-site.ts";

const site = useApiSite();

function startAgent(): Promise<TestAgent> {
  return TestAgent.start({ node: site().local.node, folder: site().local.folder.path, workers: 1 });
}

/** A pod's ADD by the agent, and its DEL. */
async function add(agent: TestAgent): Promise<CniOutcome> {
  const here = site();
  const pod = await here.pod();
  const outcome = await callCni(agent.through(here.cniCall("ADD", pod)));
  const status = await here.status(pod);
  expect(await callCni(agent.through(here.cniCall("DEL", pod)))).toMatchObject({ exitCode: 0 });
  if (outcome.exitCode !== 0) return outcome;
  expect(status?.map(({ name }) => name)).toEqual(["default-net"]);
  // It comes when the caller has its answer; what is done to connections next is not to meet it.
  await expect.poll(() => here.events(pod), { timeout: 60_000 }).toHaveLength(1);
  return outcome;
}

test("all calls of a worker use one connection, and each asks for all that one alone would ask for", async () => {
  await using agent = await startAgent();
  using proxy = await ApiProxy.open(site().api);
  await site().useAccount("polynic", proxy.url);
  for (let round = 0; round < 3; round += 1) {
    proxy.plan(() => ({ kind: "pass" }));
    expect(await add(agent)).toMatchObject({ exitCode: 0, stderr: "" });
    expect(proxy.steps()).toEqual({ "get pods": 1, "patch pods/status": 1, "create events": 1 });
  }
  expect(proxy.accepted).toBe(1);
  await expect.poll(() => agent.calls(), { timeout: 60_000 }).toBe(6);
});

test("a server that restarted between two calls, or breaks off in one, is connected to anew", async () => {
  await using agent = await startAgent();
  using proxy = await ApiProxy.open(site().api);
  await site().useAccount("polynic", proxy.url);
  expect(await add(agent)).toMatchObject({ exitCode: 0 });
  proxy.breakConnections();
  expect(await add(agent)).toMatchObject({ exitCode: 0 });
  expect(proxy.accepted).toBe(2);
  proxy.plan((step, occurrence) => ({ kind: step === "get pods" && occurrence === 1 ? "reset" : "pass" }));
  expect(await add(agent)).toMatchObject({ exitCode: 0 });
  expect(proxy.accepted).toBe(3);
});

test("a kubeconfig that was replaced counts from the next call on: its token, its server, its authority", async () => {
  await using agent = await startAgent();
  const here = site();
  await here.useAccount("polynic");
  expect(await add(agent)).toMatchObject({ exitCode: 0 });
  here.useUser({ token: expiredToken() });
  expect(errorOf(await add(agent)).msg).toContain("401 Unauthorized");
  await here.useAccount("polynic");
  expect(await add(agent)).toMatchObject({ exitCode: 0 });
  using proxy = await ApiProxy.open(here.api);
  await here.useAccount("polynic", proxy.url);
  expect(await add(agent)).toMatchObject({ exitCode: 0 });
  expect(proxy.accepted).toBe(1);
  const token = await here.admin.token("kube-system", "polynic");
  here.useUser({ token }, proxy.url, "");
  const { msg } = errorOf(await add(agent));
  expect(msg).toContain("is not signed by the authority that is trusted");
});

test("a token file that kubelet has written anew is read for the next call", async () => {
  await using agent = await startAgent();
  const here = site();
  here.local.folder.write("token", `${expiredToken()}\n`);
  here.useUser({ tokenFile: "token" });
  expect(errorOf(await add(agent)).msg).toContain("401 Unauthorized");
  here.local.folder.write("token", `${await here.admin.token("kube-system", "polynic")}\n`);
  expect(await add(agent)).toMatchObject({ exitCode: 0 });
});
