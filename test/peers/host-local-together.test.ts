// The Go plugin and ours on one directory of leases: whatever one did, the other knows.
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { type CniCall, type CniOutcome, callCni, mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { callWithFault, changingCalls, killAtEverySystemCall } from "../kit/fault.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { peerTools } from "../kit/peer-tools.ts";

type Side = "go" | "ours";

/** Hundreds of processes queue up on the machine's processors. */
const testTimeoutMs = 600_000;
const folder = useTemporaryFolder();
const network = () => join(folder().path, "pool");

beforeEach(() => rmSync(network(), { recursive: true, force: true }));

const wide = [[{ subnet: "10.1.0.0/24" }], [{ subnet: "fd00:1::/64" }]];
const tiny = [[{ subnet: "10.1.0.0/29" }]];

function call(side: Side, command: string, containerId: string, sets: object[][] = wide): CniCall {
  const ipam = { type: "host-local", dataDir: folder().path, ranges: sets };
  const config = { cniVersion: "1.1.0", name: "pool", type: "any", ipam };
  const executable = join(side === "go" ? peerTools().bin : polynicBin, "host-local");
  return { executable, command, config, containerId, ifName: "net1", netns: "/nowhere", deadlineMs: testTimeoutMs };
}

const other = (side: Side): Side => (side === "go" ? "ours" : "go");

const addressesOf = ({ result }: CniOutcome) =>
  ((result as { ips?: readonly { readonly address: string }[] } | undefined)?.ips ?? []).map(({ address }) => address);

/** All files of the network but those that stay. */
function leftovers(): string[] {
  return readdirSync(network(), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== "lock" && !entry.name.startsWith("last_reserved_ip."))
    .map(({ name }) => name);
}

const leaseNames = () => leftovers().filter((name) => !name.includes("@"));

test.each<Side>(["go", "ours"])(
  "what %s leased, the other one checks, refuses to lease again, and gives back",
  async (side) => {
    const added = await mustCallCni(call(side, "ADD", "a"));
    const plain = call(other(side), "CHECK", "a");
    const check = { ...plain, config: { ...(plain.config as object), prevResult: added.result } };
    await mustCallCni(check);
    expect((await callCni(call(other(side), "ADD", "a"))).result).toMatchObject({
      msg: "failed to allocate for range 0: 10.1.0.2 has been allocated to a, duplicate allocation is not allowed",
    });
    const wanted = await callCni({ ...call(other(side), "ADD", "b"), args: "IP=10.1.0.2" });
    expect(wanted.result).toMatchObject({
      msg: "failed to allocate for range 0: requested IP address 10.1.0.2 is not available in range set 10.1.0.1-10.1.0.254",
    });
    await mustCallCni(call(other(side), "DEL", "a"));
    expect(leaseNames()).toEqual([]);
    expect((await callCni(check)).exitCode).toBe(1);
  },
);

test("taking turns, they go on where the other one stopped, and use up a range together", async () => {
  const given: string[] = [];
  for (const [index, side] of (["go", "ours", "ours", "go", "ours"] as const).entries()) {
    given.push(...addressesOf(await mustCallCni(call(side, "ADD", `c${index}`, tiny))));
  }
  expect(given).toEqual([2, 3, 4, 5, 6].map((host) => `10.1.0.${host}/29`));
  for (const side of ["go", "ours"] as const) {
    expect((await callCni(call(side, "ADD", "late", tiny))).result).toMatchObject({
      msg: "failed to allocate for range 0: no IP addresses available in range set: 10.1.0.1-10.1.0.6",
    });
  }
  await mustCallCni(call("go", "DEL", "c2", tiny));
  expect(addressesOf(await mustCallCni(call("ours", "ADD", "next", tiny)))).toEqual(["10.1.0.4/29"]);
  await mustCallCni(call("ours", "DEL", "c0", tiny));
  expect(addressesOf(await mustCallCni(call("go", "ADD", "last", tiny)))).toEqual(["10.1.0.2/29"]);
});

test(
  "120 calls of both at once never give out an address twice, and each gives back what the other one leased",
  async () => {
    const ids = Array.from({ length: 120 }, (_, index) => `a${index}`);
    const sideOf = (index: number): Side => (index % 2 === 0 ? "go" : "ours");
    const added = await Promise.all(ids.map((id, index) => mustCallCni(call(sideOf(index), "ADD", id))));
    const given = added.flatMap(addressesOf);
    expect(given.length).toBe(240);
    expect(new Set(given).size).toBe(240);
    expect(leaseNames().length).toBe(240);
    // The other half leases while the first half gives back.
    const second = await Promise.all([
      ...ids.map((id, index) => mustCallCni(call(other(sideOf(index)), "DEL", id))),
      ...ids.map((id, index) => mustCallCni(call(sideOf(index), "ADD", `b${id}`))),
    ]);
    expect(new Set(second.flatMap(addressesOf)).size).toBe(240);
    expect(leaseNames().length).toBe(240);
    await Promise.all(ids.map((id, index) => mustCallCni(call(other(sideOf(index)), "DEL", `b${id}`))));
    expect(leaseNames()).toEqual([]);
    await mustCallCni(call("ours", "DEL", "a0"));
    expect(leftovers()).toEqual([]);
  },
  testTimeoutMs,
);

test(
  "after kill -9 at any step of our ADD, the Go plugin's DEL leaves nothing",
  async () => {
    const killed = await killAtEverySystemCall(
      () => {
        rmSync(network(), { recursive: true, force: true });
        return call("ours", "ADD", "a");
      },
      async () => {
        await mustCallCni(call("go", "DEL", "a"));
        // Content that is not written yet names nobody; it never shows under an address.
        expect(leaseNames()).toEqual([]);
        await mustCallCni(call("ours", "DEL", "a"));
        expect(leftovers()).toEqual([]);
      },
      [...changingCalls, "utimensat"],
    );
    expect(killed).toBeGreaterThan(15);
  },
  testTimeoutMs,
);

test("the empty file of a Go plugin that was killed does not block its address for us", async () => {
  mkdirSync(network());
  // The write of the lease's content is the first one that the Go plugin makes; runtime threads make none.
  await callWithFault(call("go", "ADD", "a", tiny), { systemCall: "write", occurrence: 1, isOfAnyThread: true });
  expect(readFileSync(join(network(), "10.1.0.2"), "utf8")).toBe("");
  expect(addressesOf(await mustCallCni(call("ours", "ADD", "b", tiny)))).toEqual(["10.1.0.2/29"]);
});
