// The lease folder of host-local under many processes at once, under kill -9, and with thousands of leases.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { type CniCall, type CniOutcome, callCni, mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { callWithFault, changingCalls, countSystemCalls, killAtEverySystemCall } from "../kit/fault.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";

/** As many calls as one second holds queue up on two processors. */
const testTimeoutMs = 600_000;
const folder = useTemporaryFolder();
const network = () => join(folder().path, "pool");

beforeEach(() => rmSync(network(), { recursive: true, force: true }));

/** One call for a container, in a network with these range sets. */
function call(command: string, containerId: string, sets: object[][] = [[{ subnet: "10.1.0.0/16" }]]): CniCall {
  const ipam = { type: "host-local", dataDir: folder().path, ranges: sets };
  const config = { cniVersion: "1.1.0", name: "pool", type: "any", ipam };
  const executable = join(polynicBin, "host-local");
  return { executable, command, config, containerId, ifName: "net1", netns: "/nowhere", deadlineMs: testTimeoutMs };
}

interface Answer {
  readonly code?: number;
  readonly ips?: readonly { readonly address: string }[];
}

const addressesOf = ({ result }: CniOutcome) => (result as Answer).ips?.map(({ address }) => address) ?? [];

/** All files of the network but those that stay: lock, last_reserved_ip.*, the folders of the index. */
function leftovers(): string[] {
  return readdirSync(network(), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== "lock" && !entry.name.startsWith("last_reserved_ip."))
    .map(({ name }) => name);
}

const names = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix}${index}`);

test(
  "200 calls at once never give out an address twice, use up the range exactly, and leave nothing",
  async () => {
    const sets = [
      [{ subnet: "10.1.0.0/16", rangeStart: "10.1.0.2", rangeEnd: "10.1.0.201" }],
      [{ subnet: "fd00:1::/64" }],
    ];
    const added = await Promise.all(names("a", 200).map((id) => mustCallCni(call("ADD", id, sets))));
    const given = added.flatMap(addressesOf);
    expect(given.length).toBe(400);
    expect(new Set(given).size).toBe(400);
    expect((await callCni(call("ADD", "b", sets))).result).toMatchObject({ code: 50 });
    await Promise.all(names("a", 200).map((id) => mustCallCni(call("DEL", id, sets))));
    expect(leftovers()).toEqual([]);
  },
  testTimeoutMs,
);

test(
  "calls that lease and give back at once, in a range that is too small for all, keep the books",
  async () => {
    const sets = [[{ subnet: "10.1.0.0/26" }]];
    const holders = new Map<string, string>();
    const live = async (id: string): Promise<string> => {
      const added = await callCni(call("ADD", id, sets));
      const answer = added.result as Answer;
      if (added.exitCode !== 0) {
        expect(answer).toMatchObject({ code: 50 });
        return "refused";
      }
      const [address = ""] = addressesOf(added);
      expect(holders.get(address)).toBeUndefined();
      holders.set(address, id);
      const file = join(network(), address.replace("/26", ""));
      expect(readFileSync(file, "utf8")).toBe(`${id}\r\nnet1`);
      // Its owner is gone from the books before the address is free again.
      holders.delete(address);
      await mustCallCni(call("DEL", id, sets));
      return "served";
    };
    const outcomes = await Promise.all(names("a", 100).map(live));
    expect(outcomes.filter((outcome) => outcome === "served").length).toBeGreaterThanOrEqual(61);
    expect(leftovers()).toEqual([]);
  },
  testTimeoutMs,
);

test(
  "kill -9 at any step of ADD: DEL leaves nothing, and the next ADD is served",
  async () => {
    const sets = [[{ subnet: "10.1.0.0/30" }], [{ subnet: "fd00:1::/126" }]];
    const killed = await killAtEverySystemCall(
      () => {
        rmSync(network(), { recursive: true, force: true });
        return call("ADD", "a", sets);
      },
      async () => {
        await mustCallCni(call("DEL", "a", sets));
        if (existsSync(network())) expect(leftovers()).toEqual([]);
        // The range has one address for pods: it is free, or this fails.
        await mustCallCni(call("ADD", "b", sets));
        await mustCallCni(call("DEL", "b", sets));
        expect(leftovers()).toEqual([]);
      },
      [...changingCalls, "utimensat", "flock"],
    );
    expect(killed).toBeGreaterThan(15);
  },
  testTimeoutMs,
);

test(
  "kill -9 at any step of ADD among leases of others, with no DEL after it, costs at most the addresses of that ADD",
  async () => {
    const killed = await killAtEverySystemCall(
      () => {
        rmSync(network(), { recursive: true, force: true });
        mkdirSync(network());
        for (const host of [2, 3, 4]) writeFileSync(join(network(), `10.1.0.${host}`), `go${host}\r\nnet1`);
        return call("ADD", "a", [[{ subnet: "10.1.0.0/29" }]]);
      },
      async () => {
        for (const host of [2, 3, 4]) await mustCallCni(call("DEL", `go${host}`));
        const contents = leftovers().map((name) => readFileSync(join(network(), find(name)), "utf8"));
        expect(contents.filter((content) => content !== "" && content !== "a\r\nnet1")).toEqual([]);
        await mustCallCni(call("DEL", "a"));
        expect(leftovers()).toEqual([]);
      },
      ["?link", "?linkat", "?rename", "?renameat", "utimensat"],
    );
    expect(killed).toBeGreaterThan(6);
  },
  testTimeoutMs,
);

/** The path of a file of the network by its name. */
function find(name: string): string {
  return (
    readdirSync(network(), { recursive: true })
      .map(String)
      .find((path) => path.endsWith(name)) ?? name
  );
}

test(
  "whichever system call of ADD fails, the error says so and no address stays leased",
  async () => {
    const sets = [[{ subnet: "10.1.0.0/30" }], [{ subnet: "fd00:1::/126" }]];
    const calls = ["?link", "?linkat", "?rename", "?renameat", "?mkdir", "mkdirat", "write", "utimensat", "flock"];
    for (const [systemCall, count] of await countSystemCalls(call("ADD", "a", sets), calls)) {
      for (let occurrence = 1; occurrence <= count; occurrence++) {
        rmSync(network(), { recursive: true, force: true });
        const outcome = await callWithFault(call("ADD", "a", sets), { systemCall, occurrence, errno: "EIO" });
        const place = `${systemCall} ${occurrence}`;
        // The lease folder can do without a seal.
        if (systemCall === "utimensat") expect(outcome.exitCode, place).toBe(0);
        if (outcome.exitCode !== 0 && existsSync(network())) expect(leftovers(), place).toEqual([]);
        await mustCallCni(call("DEL", "a", sets));
        await mustCallCni(call("ADD", "b", sets));
        await mustCallCni(call("DEL", "b", sets));
        expect(leftovers(), place).toEqual([]);
      }
    }
  },
  testTimeoutMs,
);

test(
  "kill -9 at any step of DEL: the next DEL leaves nothing, and others keep what they have",
  async () => {
    const killed = await killAtEverySystemCall(
      async () => {
        rmSync(network(), { recursive: true, force: true });
        await mustCallCni(call("ADD", "a"));
        await mustCallCni(call("ADD", "b"));
        return call("DEL", "a");
      },
      async () => {
        await mustCallCni(call("DEL", "a"));
        expect(readFileSync(join(network(), "10.1.0.3"), "utf8")).toBe("b\r\nnet1");
        await mustCallCni(call("DEL", "b"));
        expect(leftovers()).toEqual([]);
      },
      [...changingCalls, "utimensat", "flock"],
    );
    expect(killed).toBeGreaterThan(4);
  },
  testTimeoutMs,
);

test(
  "5,000 leases of others are read once; after that no call opens more files than in an empty folder",
  async () => {
    const opens = async (step: CniCall) => (await countSystemCalls(step, ["openat"])).get("openat") ?? 0;
    const add = await opens(call("ADD", "a"));
    const unknown = await opens(call("DEL", "z"));
    const del = await opens(call("DEL", "a"));
    for (let index = 0; index < 5000; index++) {
      writeFileSync(join(network(), `10.1.${100 + (index >> 8)}.${index & 255}`), `other${index}\r\nnet1`);
    }
    expect(await opens(call("DEL", "z"))).toBeGreaterThan(5000);
    expect(await opens(call("DEL", "z"))).toBeLessThanOrEqual(unknown + 2);
    expect(await opens(call("ADD", "a"))).toBeLessThanOrEqual(add + 2);
    expect(await opens(call("DEL", "a"))).toBeLessThanOrEqual(del + 2);
    // One lease of a stranger: the names are compared, and one file is read.
    writeFileSync(join(network(), "10.1.99.1"), "stranger\r\nnet1");
    expect(await opens(call("ADD", "a"))).toBeLessThan(add + 40);
    await mustCallCni(call("DEL", "stranger"));
    await mustCallCni(call("DEL", "other4321"));
    expect(existsSync(join(network(), "10.1.99.1"))).toBe(false);
    expect(existsSync(join(network(), `10.1.${100 + (4321 >> 8)}.${4321 & 255}`))).toBe(false);
    expect(readdirSync(network()).filter((name) => name.startsWith("10.1.1")).length).toBe(4999);
  },
  testTimeoutMs,
);
