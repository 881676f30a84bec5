// Killed at every system call that changes the world and at every request to the API server, in the ADD and in the DEL of a pod with four
// interfaces: a status is absent or true, and DEL leaves nothing.
import { rmSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from "vitest";
import { ApiProxy, type Mischief, type Step } from "../kit/api-proxy.ts";
import { callCni, type CniCall, type CniOutcome, mustCallCni } from "../kit/cni-caller.ts";
import { killAdds, killDels, type PodRound, type PodSweep, settled } from "../kit/killed-pod.ts";
import type { Json, SitePod } from "../kit/multus-site.ts";
import { useApiSite } from "./use-site.ts";

const site = useApiSite();
const sweepTimeoutMs = 900_000;
const pass: Mischief = { kind: "pass" };
let proxy: ApiProxy;

beforeAll(async () => {
  const here = site();
  proxy = await ApiProxy.open(inject("api"));
  await here.useAccount("polynic", proxy.url);
  const subnets = [[{ subnet: "10.142.0.0/24" }], [{ subnet: "fd00:142::/64" }]];
  await here.network("one", here.local.macvlan("one", "10.141.0.0/24"));
  await here.network("two", {
    cniVersion: "1.0.0",
    plugins: [
      here.local.macvlan("", "", { ipam: { ranges: subnets } }),
      { type: "tuning", sysctl: { "net.ipv4.conf.IFNAME.arp_notify": "1" } },
    ],
  });
  await here.network("three", {
    cniVersion: "1.0.0",
    type: "macvlan",
    master: "eth0",
    ipam: { type: "static", addresses: [{ address: "192.0.2.7/24" }] },
  });
});
beforeEach(() => proxy.plan(() => pass));
afterAll(() => proxy[Symbol.dispose]());

/** A fresh pod with a default network and three of its own: host-local, a chain of two families, static. */
async function prepare(): Promise<PodRound> {
  const pod = await site().pod([{ name: "one" }, { name: "two", "default-route": ["10.142.0.1"] }, { name: "three" }]);
  return { pod, before: site().local.kernel(pod) };
}

const sweep: PodSweep = { prepare, call: (command, pod) => site().cniCall(command, pod) };

/** Of a pod whose ADD did not come to its end: no status, or one that tells what the namespace has. */
async function expectTrueStatus(at: string, pod: SitePod): Promise<void> {
  const status = await site().status(pod);
  if (status === undefined) return;
  expect([at, status.map(({ interface: name }) => name)]).toEqual([at, ["eth0", "net1", "net2", "net3"]]);
  for (const element of status) expect([at, element]).toEqual([at, expect.objectContaining(inKernel(pod, element))]);
}

/** Addresses and MAC of the element's interface. */
function inKernel({ netns }: SitePod, { interface: name }: Json): Json {
  const [link] = JSON.parse(netns.run("ip", "-json", "addr", "show", "dev", String(name))) as [
    { address: string; addr_info: { local: string; scope: string }[] },
  ];
  const addresses = link.addr_info.filter(({ scope }) => scope === "global").map(({ local }) => local);
  return { mac: link.address, ips: addresses };
}

/** What a killed ADD has left goes by DEL; with `isReused` the container is then attached as if nothing had been. */
async function expectUndone(at: string, { pod, before }: PodRound, isReused: boolean): Promise<void> {
  const here = site();
  await mustCallCni(here.cniCall("DEL", pod));
  expect([at, here.local.remains(before, pod)]).toEqual([at, []]);
  if (!isReused) return;
  await mustCallCni(here.cniCall("ADD", pod));
  expect([at, (await here.status(pod))?.length]).toEqual([at, 4]);
  await expectTrueStatus(at, pod);
  await mustCallCni(here.cniCall("DEL", pod));
  expect([at, here.local.remains(before, pod)]).toEqual([at, []]);
}

test(
  "an ADD that is killed at any system call leaves no untrue status, and DEL takes it back",
  async () => {
    const killed = await killAdds(sweep, async (at, round, occurrence) => {
      await expectTrueStatus(at, round.pod);
      await expectUndone(at, round, occurrence % 3 === 1);
    });
    expect(killed).toBeGreaterThan(30);
  },
  sweepTimeoutMs,
);

test(
  "a DEL that is killed at any system call is finished by the next",
  async () => {
    const here = site();
    const killed = await killDels(sweep, async (at, { pod, before }) => {
      await mustCallCni(here.cniCall("DEL", pod));
      expect([at, here.local.remains(before, pod)]).toEqual([at, []]);
    });
    expect(killed).toBeGreaterThan(15);
  },
  sweepTimeoutMs,
);

/** A call that is killed when its request number `occurrence` of that step is about to reach the server, or has just been carried out there. */
async function killedAt(
  call: CniCall,
  step: Step,
  occurrence: number,
  kind: "reset" | "reset-after",
): Promise<CniOutcome> {
  let pid = 0;
  const onCut = () => void process.kill(pid, "SIGKILL");
  proxy.plan((at, count) => (at === step && count === occurrence ? { kind, onCut } : pass));
  const outcome = await callCni({ ...call, onStart: (started) => (pid = started) });
  proxy.plan(() => pass);
  return outcome;
}

const moments = ["reset", "reset-after"] as const;
const inWords = { reset: "before the server has seen it", "reset-after": "when the server has done it" };

describe("an ADD that is killed at a request leaves no untrue status, and DEL takes it back", () => {
  const requests: readonly (readonly [Step, number])[] = [
    ["get pods", 1],
    ["get network-attachment-definitions", 1],
    ["get network-attachment-definitions", 3],
    ["patch pods/status", 1],
    ["create events", 1],
    ["create events", 4],
  ];
  const rows = requests.flatMap(([step, occurrence]) =>
    moments.map((moment) => [step, occurrence, inWords[moment], moment] as const),
  );
  test.each(rows)("%s, number %i, %s", async (step, occurrence, words, moment) => {
    const at = `${step} ${occurrence} ${words}`;
    const round = await prepare();
    const outcome = await killedAt(site().cniCall("ADD", round.pod), step, occurrence, moment);
    expect([at, outcome.signal, outcome.stdout]).toEqual([at, "SIGKILL", ""]);
    if (step === "patch pods/status") expect((await site().status(round.pod)) === undefined).toBe(moment === "reset");
    await expectTrueStatus(at, round.pod);
    await expectUndone(at, round, true);
  });
});

describe("a DEL that has lost all of cniDir and is killed while it asks the server is finished by the next", () => {
  const rows = ["get pods", "get network-attachment-definitions"].flatMap((step) =>
    moments.map((moment) => [step, inWords[moment], moment] as const),
  );
  test.each(rows)("%s, %s", async (step, _, moment) => {
    const here = site();
    const { pod, before } = await settled(sweep);
    rmSync(here.local.path("cni"), { recursive: true });
    expect(await killedAt(here.cniCall("DEL", pod), step, 1, moment)).toMatchObject({ signal: "SIGKILL" });
    await mustCallCni(here.cniCall("DEL", pod));
    expect(here.local.remains(before, pod)).toEqual([]);
  });
});
