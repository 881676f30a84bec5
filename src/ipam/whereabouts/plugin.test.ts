import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ManifestPools } from "../../cluster/pools/manifests.ts";
import { formatIp } from "../../ip/address.ts";
import { formatPrefix } from "../../ip/prefix.ts";
import { PoolSite } from "./site.test-data.ts";

let site: PoolSite;
beforeEach(() => {
  site = new PoolSite();
});
afterEach(() => site[Symbol.dispose]());

const small = { range: "10.0.0.0/29" };
const dual = { range: "10.0.0.0/29", ipRanges: [{ range: "fd00::/125" }] };
const pod = (name: string, uid = "") =>
  `IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${name};K8S_POD_UID=${uid}`;

test("ADD gives the lowest free address of each range, with the range's length and the gateway of its family (WHEREABOUTS 107, 290)", async () => {
  const result = await site.call("ADD", "c1", { ...dual, gateway: "10.0.0.6", routes: [{ dst: "0.0.0.0/0" }] });
  const ips = result!.ips.map(
    ({ address, gateway }) => `${formatPrefix(address)} ${gateway ? formatIp(gateway) : "-"}`,
  );
  expect(ips).toEqual(["10.0.0.1/29 10.0.0.6", "fd00::1/125 -"]);
  expect(result!.routes).toHaveLength(1);
  expect(await site.add("c2", dual)).toEqual(["10.0.0.2/29", "fd00::2/125"]);
  await site.call("DEL", "c1", dual);
  expect(await site.add("c3", dual)).toEqual(["10.0.0.1/29", "fd00::1/125"]);
});

test("two nodes share a pool (WHEREABOUTS 103, multus-cni 645)", async () => {
  expect(await site.add("c1", small, { node: "a" })).toEqual(["10.0.0.1/29"]);
  expect(await site.add("c1", small, { node: "b" })).toEqual(["10.0.0.2/29"]);
  await site.call("DEL", "c1", small, { node: "a" });
  expect(site.reservations()).toEqual(["10.0.0.2"]);
});

test("of as many as a range has addresses all are served at once, from any number of nodes", async () => {
  const ipam = { range: "10.0.0.0/26" };
  const nodes = ["a", "b", "c", "d"];
  const claims = Array.from({ length: 62 }, (_, index) => site.add(`c${index}`, ipam, { node: nodes[index % 4]! }));
  const addresses = (await Promise.all(claims)).flat();
  expect(new Set(addresses).size).toBe(62);
  await expect(site.add("late", ipam)).rejects.toMatchObject({
    code: 50,
    message: "Could not allocate IP in range: ip: 10.0.0.1 / - 10.0.0.62 / range: 10.0.0.0/26 / excludeRanges: []",
  });
  expect(site.journals("a")).toHaveLength(16);
});

test("whatever nodes do in whatever order, no address has two holders and none is left over", async () => {
  const step = fc.record({ node: fc.constantFrom("a", "b", "c"), container: fc.nat({ max: 5 }), isAdd: fc.boolean() });
  const run = fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(run, async (rounds) => {
      using own = new PoolSite();
      const held = new Map<string, string>();
      for (const round of rounds) {
        // Of each container one call at a time, as runtimes do; those of different ones at once.
        const distinct = [...new Map(round.map((each) => [`${each.node}/${each.container}`, each])).entries()];
        await Promise.all(
          distinct.map(async ([key, { node, container, isAdd }]) => {
            if (!isAdd) {
              await own.call("DEL", `c${container}`, small, { node });
              held.delete(key);
              return;
            }
            const [address = ""] = await own.add(`c${container}`, small, { node }).catch(() => []);
            if (address !== "") held.set(key, address.replace("/29", ""));
          }),
        );
        expect(new Set(held.values()).size).toBe(held.size);
        expect(own.reservations()).toEqual([...held.values()].sort());
      }
    }),
    { numRuns: 25 },
  );
});

test("an interface that has addresses of another range keeps them until its DEL", async () => {
  await site.add("c1", small);
  await expect(site.add("c1", { range: "10.9.0.0/24" })).rejects.toMatchObject({
    code: 4,
    message: expect.stringContaining("interface net1 has 10.0.0.1/29 already") as string,
  });
  expect(site.reservations()).toEqual(["10.0.0.1"]);
});

test("two ranges of one network that overlap give two addresses", async () => {
  expect(await site.add("c1", { range: "10.0.0.0/29", ipRanges: [{ range: "10.0.0.0/28" }] })).toHaveLength(2);
  expect(site.reservations()).toEqual(["10.0.0.1", "10.0.0.2"]);
});

describe("bugs of whereabouts' storage loop that are not repeated", () => {
  test("a second range gets its reservation after a repeated ADD of the first (WHEREABOUTS loop 2)", async () => {
    expect(await site.add("c1", dual)).toEqual(["10.0.0.1/29", "fd00::1/125"]);
    expect(await site.add("c1", dual)).toEqual(["10.0.0.1/29", "fd00::1/125"]);
    expect(site.reservations()).toEqual(["10.0.0.1", "fd00--1"]);
  });

  test("DEL gives back the later ranges when nothing of the first is there any more (WHEREABOUTS loop 3)", async () => {
    await site.add("c1", dual);
    rmSync(join(site.manifests, ".state/whereabouts/overlappingrangeipreservations/10.0.0.1.json"));
    await site.call("DEL", "c1", dual);
    expect(site.reservations()).toEqual([]);
  });

  test("an ADD whose second range is full leaves nothing of the first (WHEREABOUTS loop 4)", async () => {
    const tight = { range: "10.0.0.0/29", ipRanges: [{ range: "10.1.0.0/30" }] };
    await site.add("c1", tight);
    await site.add("c2", tight);
    await expect(site.add("c3", tight)).rejects.toMatchObject({ code: 50 });
    expect(site.reservations()).toEqual(["10.0.0.1", "10.0.0.2", "10.1.0.1", "10.1.0.2"]);
    expect(site.journals()).toEqual(["c1:net1", "c2:net1"]);
  });

  test("a failed ADD deletes nobody else's reservation (WHEREABOUTS loop 5)", async () => {
    await site.add("c1", small);
    await expect(
      site.call("ADD", "c2", small, { config: { runtimeConfig: { ips: ["10.0.0.1/29"] } } }),
    ).rejects.toMatchObject({
      code: 11,
      message: "requested IP address 10.0.0.1 is not available in range 10.0.0.0/29",
    });
    await site.call("DEL", "c2", small);
    expect(site.reservations()).toEqual(["10.0.0.1"]);
  });

  test("an entry of the pool whose address somebody else holds does not make a pod spin (WHEREABOUTS loop 6)", async () => {
    const pools = new ManifestPools(site.manifests);
    await site.add("other", small, { args: pod("other") });
    const entry = { id: "old", podref: "shop/web", ifname: "net1" };
    await pools.patchPool("10.0.0.0-29", [{ op: "add", key: "1", entry }]);
    expect(await site.add("c1", small, { args: pod("web") })).toEqual(["10.0.0.2/29"]);
  });
});

describe("complaints about whereabouts", () => {
  test("the restarted sandbox of a pod that owns the last address gets one (WHEREABOUTS 291, PR 296)", async () => {
    const tiny = { range: "10.0.0.0/30" };
    await site.add("old", tiny, { args: pod("web", "u1") });
    await site.add("other", tiny, { args: pod("other", "u2") });
    expect(await site.add("new", tiny, { args: pod("web", "u1") })).toEqual(["10.0.0.1/30"]);
    await expect(site.add("c1", tiny, { args: pod("third", "u3") })).rejects.toMatchObject({ code: 50 });
    // The late DEL of the old sandbox names a uid that is gone.
    await site.call("DEL", "old", tiny);
    expect(site.reservations()).toEqual(["10.0.0.1", "10.0.0.2"]);
  });

  test("range_end is given out (WHEREABOUTS 35, 42)", async () => {
    const ipam = { range: "10.0.0.0/24", range_start: "10.0.0.5", range_end: "10.0.0.6" };
    expect([await site.add("c1", ipam), await site.add("c2", ipam)]).toEqual([["10.0.0.5/24"], ["10.0.0.6/24"]]);
  });

  test("a gateway that is excluded is not handed to a pod (WHEREABOUTS 601)", async () => {
    expect(await site.add("c1", { ...small, gateway: "10.0.0.1", exclude_gateway: true })).toEqual(["10.0.0.2/29"]);
  });

  test("an IPv6 address that ends with :: has a name that the store takes (WHEREABOUTS 293)", async () => {
    expect(await site.add("c1", { range: "fd00:0:0:1::/124", enable_l3: true })).toEqual(["fd00:0:0:1::/124"]);
    expect(site.reservations()).toEqual(["fd00-0-0-1--0"]);
  });
});

describe("DEL", () => {
  test("finds what it needs in the journal when the config can't be used any more (WHEREABOUTS 70, 275)", async () => {
    await site.add("c1", small);
    await site.call("DEL", "c1", { range: "broken" });
    expect([site.reservations(), site.journals()]).toEqual([[], []]);
  });

  test("of what was never attached, or twice, is fine", async () => {
    await site.call("DEL", "c1", small);
    await site.add("c1", small);
    await site.call("DEL", "c1", small);
    await site.call("DEL", "c1", small);
    expect(site.reservations()).toEqual([]);
  });

  test("of one interface leaves the container's other one alone", async () => {
    await site.add("c1", small, { ifName: "net1" });
    await site.add("c1", small, { ifName: "net2" });
    await site.call("DEL", "c1", small, { ifName: "net1" });
    expect(site.reservations()).toEqual(["10.0.0.2"]);
  });

  test("finds claims by their container when the journal is lost", async () => {
    await site.add("c1", dual, { ifName: "net1" });
    await site.add("c1", dual, { ifName: "net2" });
    rmSync(join(site.dataDir(), "journal"), { recursive: true });
    await site.call("DEL", "c1", dual, { ifName: "net1" });
    expect(site.reservations()).toEqual(["10.0.0.2", "fd00--2"]);
  });

  test("is an error while the store can't be used, and the next one does it", async () => {
    await site.add("c1", small);
    const folder = join(site.manifests, ".state/whereabouts/overlappingrangeipreservations");
    const path = join(folder, "10.0.0.1.json");
    const kept = readFileSync(path, "utf8");
    writeFileSync(path, "{");
    await expect(site.call("DEL", "c1", small)).rejects.toMatchObject({ code: 999 });
    expect(site.journals()).toEqual(["c1:net1"]);
    writeFileSync(path, kept);
    await site.call("DEL", "c1", small);
    expect(site.reservations()).toEqual([]);
  });
});

describe("a process that was killed", () => {
  const reservationsFolder = () => join(site.manifests, ".state/whereabouts/overlappingrangeipreservations");
  const journal = (lines: readonly unknown[], tail = "") => {
    mkdirSync(join(site.dataDir(), "journal"), { recursive: true });
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    appendFileSync(join(site.dataDir(), "journal", "c1:net1"), text + tail);
  };
  const head = () => ({ head: { network: "net", source: { manifests: site.manifests }, podref: "/" } });
  const claim = (owner: string) => ({
    claim: {
      name: "10.0.0.1",
      owner,
      address: "10.0.0.1/29",
      range: 0,
      hasFinalizer: false,
      hint: { pool: "10.0.0.0-29", key: "1" },
      releaseDelayMs: 0,
    },
  });

  test("before it made the reservation has left nothing, and takes nobody else's with it", async () => {
    await site.add("other", small);
    journal([head(), claim("mine")]);
    await site.call("DEL", "c1", small);
    expect(site.reservations()).toEqual(["10.0.0.1"]);
    expect(site.journals()).toEqual(["other:net1"]);
  });

  test("after it made the reservation has left it to DEL", async () => {
    await site.add("c1", small);
    const path = join(site.dataDir(), "journal", "c1:net1");
    const lines = readFileSync(path, "utf8").split("\n");
    writeFileSync(path, `${lines.slice(0, 2).join("\n")}\n{"made":"10.0`);
    await site.call("DEL", "c1", small);
    expect([site.reservations(), site.journals()]).toEqual([[], []]);
    expect(existsSync(reservationsFolder())).toBe(true);
  });

  test("in the middle of a line has the next ADD give back what came before", async () => {
    await site.add("c1", small);
    const path = join(site.dataDir(), "journal", "c1:net1");
    const [first = "", second = ""] = readFileSync(path, "utf8").split("\n");
    writeFileSync(path, `${first}\n${second}\n{"ma`);
    expect(await site.add("c1", small)).toEqual(["10.0.0.1/29"]);
    expect(site.reservations()).toEqual(["10.0.0.1"]);
    await site.call("DEL", "c1", small);
    expect([site.reservations(), site.journals()]).toEqual([[], []]);
  });
});

test("a reservation without content, which only a power cut leaves, holds nothing", async () => {
  await site.add("c1", small);
  writeFileSync(join(site.manifests, ".state/whereabouts/overlappingrangeipreservations/10.0.0.2.json"), "");
  const ips = { runtimeConfig: { ips: ["10.0.0.2/29"] } };
  expect(await site.add("c2", small, { config: ips })).toEqual(["10.0.0.2/29"]);
  await site.call("DEL", "c2", small);
  expect(site.reservations()).toEqual(["10.0.0.1"]);
});

describe("GC", () => {
  const gc = (valid: readonly string[], options = {}) =>
    site.call("GC", "", small, {
      ...options,
      config: { "cni.dev/valid-attachments": valid.map((containerID) => ({ containerID, ifname: "net1" })) },
    });

  test("gives back what the runtime does not list, of this network and this node only", async () => {
    await site.add("c1", small);
    await site.add("c2", small);
    await site.add("c3", small, { config: { name: "another" } });
    await site.add("c4", small, { node: "b" });
    await gc(["c1"]);
    expect(site.reservations()).toEqual(["10.0.0.1", "10.0.0.3", "10.0.0.4"]);
    expect(site.journals()).toEqual(["c1:net1", "c3:net1"]);
  });

  test("removes the empty journal of an ADD that was killed before its first claim", async () => {
    mkdirSync(join(site.dataDir(), "journal"), { recursive: true });
    writeFileSync(join(site.dataDir(), "journal", "c9:net1"), "");
    await gc([]);
    expect(site.journals()).toEqual([]);
  });

  test("gives back what has waited for release_delay_seconds", async () => {
    const rests = { ...small, release_delay_seconds: 3600 };
    await site.add("c1", rests);
    await site.call("DEL", "c1", rests);
    await gc([]);
    expect(site.reservations()).toEqual(["10.0.0.1"]);
    // A note's name begins with the time from when on it counts no more.
    const notes = join(site.dataDir(), "delayed");
    for (const name of site.files(notes)) renameSync(join(notes, name), join(notes, name.replace(/^\d+/, "1")));
    await gc([]);
    expect([site.reservations(), site.files(notes)]).toEqual([[], []]);
  });
});

describe("CHECK", () => {
  const result = (address: string) => ({ prevResult: { cniVersion: "1.1.0", ips: [{ address }] } });

  test("holds as long as the claims are there and ours", async () => {
    await site.add("c1", small);
    await site.call("CHECK", "c1", small, { config: result("10.0.0.1/29") });
    await expect(site.call("CHECK", "c1", small, { config: result("10.0.0.2/29") })).rejects.toThrow(
      "failed to find the addresses of container c1, interface net1",
    );
    await expect(site.call("CHECK", "c2", small, { config: result("10.0.0.1/29") })).rejects.toThrow();
    rmSync(join(site.manifests, ".state/whereabouts/overlappingrangeipreservations/10.0.0.1.json"));
    await site.add("thief", small);
    await expect(site.call("CHECK", "c1", small, { config: result("10.0.0.1/29") })).rejects.toMatchObject({
      details: expect.stringContaining("reservation 10.0.0.1 is held by pod / now") as string,
    });
  });
});

test("STATUS says when the store can't be used, and when the pool shows no free address", async () => {
  const tiny = { range: "10.0.0.0/30" };
  await site.call("STATUS", "", tiny);
  await site.add("c1", tiny);
  const pools = new ManifestPools(site.manifests);
  const entry = { id: "x", podref: "a/b", ifname: "net1" };
  await pools.patchPool("10.0.0.0-30", [
    { op: "add", key: "1", entry },
    { op: "add", key: "2", entry },
  ]);
  await expect(site.call("STATUS", "", tiny)).rejects.toMatchObject({ code: 50 });
  await expect(site.call("STATUS", "", { ...tiny, manifests: "", kubernetes: {} })).rejects.toMatchObject({
    code: 7,
    message: expect.stringContaining("you have not configured the storage engine") as string,
  });
});

test("without a range only static addresses are given, and no store is needed", async () => {
  const ipam = { manifests: "", addresses: [{ address: "192.0.2.5/24", gateway: "192.0.2.1" }] };
  expect(await site.add("c1", ipam)).toEqual(["192.0.2.5/24"]);
  await site.call("DEL", "c1", ipam);
  expect(site.journals()).toEqual([]);
});

test("an address of CNI_ARGS that a range could give out is held besides the range's own", async () => {
  const args = "IgnoreUnknown=1;IP=10.0.0.1/29";
  expect(await site.add("c1", small, { args })).toEqual(["10.0.0.2/29", "10.0.0.1/29"]);
  expect(await site.add("c1", small, { args })).toEqual(["10.0.0.2/29", "10.0.0.1/29"]);
  await expect(site.add("c2", small, { args })).rejects.toMatchObject({ code: 11 });
  expect(site.reservations()).toEqual(["10.0.0.1", "10.0.0.2"]);
  await site.call("DEL", "c1", small, { args });
  expect(site.reservations()).toEqual([]);
});
