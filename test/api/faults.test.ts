// Bad days of the API server, at every step of an ADD: either all goes well in the end, or there is one clear error and nothing is left.
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { ApiProxy, type Mischief } from "../kit/api-proxy.ts";
import { errorOf } from "../kit/multus-site.ts";
import { useApiSite } from "./use-site.ts";

const site = useApiSite();
let proxy: ApiProxy;
/** Every row that fails waits for so long; what serves, through the proxy, may take as much on a busy machine. */
const apiTimeout = 3;
const pass: Mischief = { kind: "pass" };

beforeAll(async () => {
  proxy = await ApiProxy.open(inject("api"));
  await site().useAccount("polynic", proxy.url);
  for (const index of [1, 2])
    await site().network(`n${index}`, site().local.macvlan(`net-${index}`, `10.${70 + index}.0.0/16`));
});
afterAll(() => proxy[Symbol.dispose]());

const steps = ["get pods", "get network-attachment-definitions", "patch pods/status", "create events"] as const;

describe("what passes by itself is not noticed", () => {
  const once: readonly (readonly [string, Mischief])[] = [
    ["429, try again in a second", { kind: "answer", status: 429, headers: { "retry-after": "1" } }],
    ["500", { kind: "answer", status: 500 }],
    ["503", { kind: "answer", status: 503 }],
    ["a broken connection", { kind: "reset" }],
    ["a broken connection after the server has done it", { kind: "reset-after" }],
    ["a hung connection", { kind: "hang" }],
  ];
  const rows = once.flatMap(([name, mischief]) => steps.map((step) => [name, step, mischief] as const));

  test.each(rows)("%s, once, at: %s", async (_, step, mischief) => {
    const here = site();
    const pod = await here.pod("n1,n2");
    const before = here.local.kernel(pod);
    proxy.plan((at, occurrence) => (at === step && occurrence === 1 ? mischief : pass));
    const outcome = await here.call("ADD", pod, { conf: { apiTimeout: 6 } });
    expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
    expect(proxy.steps()[step]).toBeGreaterThan(step === "get pods" || step === "patch pods/status" ? 1 : 2);
    expect(await here.status(pod)).toHaveLength(3);
    // Repeated after an answer that was lost, an event must not be there twice.
    expect(await here.events(pod)).toHaveLength(3);
    proxy.plan(() => pass);
    expect(await here.call("DEL", pod)).toMatchObject({ exitCode: 0 });
    expect(proxy.steps()).toEqual({});
    expect(here.local.remains(before, pod)).toEqual([]);
  });

  test("300 ms of latency for every request (BUG 4.1: Multus gives up after 250 ms)", async () => {
    const here = site();
    const pod = await here.pod("n1,n2");
    proxy.plan(() => ({ kind: "pass", delayMs: 300 }));
    expect(await here.call("ADD", pod)).toMatchObject({ exitCode: 0, stderr: "" });
    expect(await here.status(pod)).toHaveLength(3);
    expect(await here.events(pod)).toHaveLength(3);
    expect(await here.call("DEL", pod)).toMatchObject({ exitCode: 0 });
  });
});

describe("what does not pass is one clear error, with nothing left", () => {
  const always: readonly (readonly [string, Mischief, RegExp])[] = [
    ["429", { kind: "answer", status: 429 }, /asks for fewer requests \(429 Too Many Requests\)/],
    ["500", { kind: "answer", status: 500 }, /answered 500 InternalError: by the test/],
    ["503", { kind: "answer", status: 503 }, /answered 503 ServiceUnavailable/],
    ["409", { kind: "answer", status: 409 }, /answered 409 Conflict/],
    ["401", { kind: "answer", status: 401 }, /does not accept the credentials of kubeconfig .* \(401 Unauthorized\)/],
    ["403", { kind: "answer", status: 403 }, /forbidden \(403\): by the test/],
    ["broken connections", { kind: "reset" }, /the connection broke/],
    ["connections broken after the server has done it", { kind: "reset-after" }, /the connection broke/],
    ["hung connections", { kind: "hang" }, /no answer from https:\S+ within \d+/],
  ];
  const fatal = steps.filter((step) => step !== "create events");
  const rows = always.flatMap(([name, mischief, cause]) => fatal.map((step) => [name, step, mischief, cause] as const));

  test.each(rows)("%s, always, at: %s", async (_, step, mischief, cause) => {
    const here = site();
    const pod = await here.pod("n1,n2");
    const before = here.local.kernel(pod);
    proxy.plan((at) => (at === step ? mischief : pass));
    const { code, msg, details = "" } = errorOf(await here.call("ADD", pod, { conf: { apiTimeout } }));
    expect(code).toBe(11);
    expect(`${msg}; ${details}`).toMatch(cause);
    expect(msg).toMatch(new RegExp(`^Multus: \\[${pod.namespace}/${pod.name}/${pod.uid}\\]: `));
    expect(msg).not.toContain("\n");
    expect(here.local.remains(before, pod)).toEqual([]);
    expect(await here.status(pod)).toBeUndefined();
    if (step !== "get pods")
      expect((await here.events(pod)).filter((event) => event.startsWith("Warning"))).toHaveLength(1);
    proxy.plan(() => pass);
    expect(await here.call("DEL", pod)).toMatchObject({ exitCode: 0 });
  });

  test.each(always)("%s, always, for events: the pod starts without them", async (_, mischief) => {
    const here = site();
    const pod = await here.pod("n1,n2");
    proxy.plan((at) => (at === "create events" ? mischief : pass));
    const outcome = await here.call("ADD", pod, { conf: { apiTimeout } });
    expect(outcome.exitCode).toBe(0);
    expect(outcome.stderr).toContain("an event was not delivered: create event in ");
    expect(await here.status(pod)).toHaveLength(3);
    proxy.plan(() => pass);
    expect(await here.call("DEL", pod)).toMatchObject({ exitCode: 0 });
  });
});

describe("the server goes away in the middle", () => {
  test.each(steps.slice(0, 3))("from the step on: %s", async (step) => {
    const here = site();
    const pod = await here.pod("n1,n2");
    const before = here.local.kernel(pod);
    let isDown = false;
    proxy.plan((at) => {
      isDown ||= at === step;
      return isDown ? { kind: "reset" } : pass;
    });
    const { code, msg } = errorOf(await here.call("ADD", pod, { conf: { apiTimeout } }));
    expect(code).toBe(11);
    expect(msg).toContain("the connection broke");
    expect(here.local.remains(before, pod)).toEqual([]);
    expect(await here.call("DEL", pod)).toMatchObject({ exitCode: 0, stderr: "" });
    proxy.plan(() => pass);
  });

  test("nobody listens at all", async () => {
    const here = site();
    const pod = await here.pod("n1");
    await here.useAccount("polynic", "https://169.254.77.1:1");
    const { code, msg } = errorOf(await here.call("ADD", pod, { conf: { apiTimeout } }));
    await here.useAccount("polynic", proxy.url);
    expect(code).toBe(11);
    expect(msg).toMatch(
      /error waiting for pod: get pod \S+: https:\/\/169\.254\.77\.1:1: connection refused \(\d+ attempts in \S+ \w+\); is the API server up, and reachable from this node\?/,
    );
  });
});
