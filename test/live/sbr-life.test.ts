// What becomes of source based routing: ADD that fails, CHECK after somebody was at it, DEL in all circumstances, STATUS.
import { beforeEach, describe, expect, test } from "vitest";
import type { Result } from "../../src/cni/result.ts";
import type { JsonObject } from "../../src/json/value.ts";
import { diff } from "../kit/diff.ts";
import { fixedIpam, sbrChain, useSbrSite } from "../kit/sbr-site.ts";
import { snapshot } from "../kit/snapshot.ts";

const site = useSbrSite();

describe("an ADD that fails puts all back:", () => {
  async function refused(ipam: JsonObject, own: JsonObject, message: string, code: number): Promise<void> {
    site.addOtherInterface();
    const [macvlan, sbr] = sbrChain(ipam, own);
    const { prev } = await site.halfway(macvlan);
    const before = snapshot(site.pod.path);
    await expect(site.caller.add({ config: { ...sbr, prevResult: prev }, pod: site.pod })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
    expect(diff(before, snapshot(site.pod.path))).toEqual([]);
  }

  test("a gateway out of reach", async () => {
    await refused(
      fixedIpam(["192.0.2.5/24 via 203.0.113.1"]),
      {},
      "Failed to add default route to table: route '0.0.0.0/0 via 203.0.113.1 dev net1 table 100': network is unreachable",
      999,
    );
  });
  test("a gateway of the config out of reach", async () => {
    await refused(fixedIpam(["192.0.2.5/24"]), { gateways: ["203.0.113.1"] }, 'name another in sbr\'s "gateways"', 999);
  });
  test("no address", async () => {
    const [, sbr] = sbrChain({});
    const { prev } = await site.halfway({ type: "macvlan", master: "eth0" });
    await expect(site.caller.add({ config: { ...sbr, prevResult: prev }, pod: site.pod })).rejects.toMatchObject({
      code: 7,
      message: "No IP addresses supplied on interface: net1",
    });
  });
  test("no previous result", async () => {
    await expect(site.caller.add({ config: { type: "sbr" }, pod: site.pod })).rejects.toMatchObject({
      code: 7,
      message: "This plugin must be called as chained plugin",
    });
  });
  test("no such interface, and an interface that is down", async () => {
    const prev = {
      cniVersion: "1.1.0",
      interfaces: [{ name: "net1", sandbox: "x" }],
      ips: [{ address: "192.0.2.5/24" }],
    };
    await expect(site.caller.add({ config: { type: "sbr", prevResult: prev }, pod: site.pod })).rejects.toThrow(
      `Cannot find network interface net1: Link not found in pod ${site.pod.path}`,
    );
    site.pod.ip("link add net1 type bridge");
    const before = snapshot(site.pod.path);
    await expect(site.caller.add({ config: { type: "sbr", prevResult: prev }, pod: site.pod })).rejects.toThrow(
      "net1 is down",
    );
    expect(diff(before, snapshot(site.pod.path))).toEqual([]);
  });
});

describe("CHECK", () => {
  const plugins = sbrChain(fixedIpam(["192.0.2.5/24 via 192.0.2.1", "2001:db8::5/64"], [{ dst: "198.51.100.0/24" }]));
  const [, sbr] = plugins;
  let result: Result;
  beforeEach(async () => {
    site.addOtherInterface();
    result = await site.caller.addChain({ plugins, pod: site.pod });
  });
  const check = (own: JsonObject = {}) =>
    site.caller.call({ verb: "CHECK", config: { ...sbr, ...own }, pod: site.pod, prevResult: result });

  test.each<[string, string[]]>([
    ["the pod has rules and routes besides", ["rule add from 203.0.113.1 lookup 99", "route add 10.9.0.0/16 dev net1"]],
    ["the rule has another priority", ["rule add from 192.0.2.5 lookup 100 pref 7", "rule del pref 32765"]],
    ["the default route has another gateway", ["route replace default via 192.0.2.7 dev net1 table 100"]],
  ])("is content when %s", async (_, commands) => {
    for (const command of commands) site.pod.run("sh", "-c", `ip ${command}`);
    await check();
  });

  test.each<[string, string, string]>([
    ["a rule is gone", "rule del from 192.0.2.5", "no rule leads packets from 192.0.2.5 to a table of net1"],
    ["a rule of IPv6 is gone", "-6 rule del from 2001:db8::5", "no rule leads packets from 2001:db8::5 to a table of"],
    [
      "a rule leads elsewhere",
      "rule del from 192.0.2.5; ip rule add from 192.0.2.5 lookup 77",
      "table 77 has no route to 192.0.2.0/24 over net1",
    ],
    ["the table lost its default route", "route del default table 100", "table 100 has no default route via 192.0.2.1"],
    [
      "the table lost its subnet",
      "route del 192.0.2.0/24 table 100",
      "table 100 has no route to 192.0.2.0/24 over net1",
    ],
    [
      "the table lost a route of the result",
      "route del 198.51.100.0/24 table 100",
      "Expected Route 198.51.100.0/24 not found in routing table 100 over net1",
    ],
    ["the table is empty", "route flush table 100", "table 100 has no route to 192.0.2.0/24 over net1"],
    ["the link is gone", "link del net1", "container Interface name in prevResult: net1 not found"],
  ])("finds that %s", async (_, command, message) => {
    site.pod.run("sh", "-c", `ip ${command}`);
    await expect(check()).rejects.toMatchObject({ code: 999, message: expect.stringContaining(message) as string });
  });

  test("holds the rules to the table of the config, and the default route to its gateway", async () => {
    await expect(check({ table: 5 })).rejects.toThrow("leads to table 100, expected table 5");
    await expect(check({ gateways: ["192.0.2.9"] })).rejects.toThrow(
      "table 100 has no default route via 192.0.2.9 over net1: the one there is via 192.0.2.1",
    );
  });
});

test("CHECK is content with an address that is its own network, and has no gateway", async () => {
  const plugins = sbrChain(fixedIpam(["192.0.2.5/32"]));
  const result = await site.caller.addChain({ plugins, pod: site.pod });
  await site.caller.checkChain({ plugins, pod: site.pod, prevResult: result });
});

describe("DEL", () => {
  test.each<[string, () => string]>([
    ["was never told", () => ""],
    ["is gone", () => (site.pod[Symbol.dispose](), site.pod.path)],
  ])("is done when the namespace %s", async (_, path) => {
    await site.caller.call({ verb: "DEL", config: { type: "sbr" }, pod: path() });
    expect(site.pod.path === "" || !site.pod.exists() || snapshot(site.pod.path).links["net1"] === undefined).toBe(
      true,
    );
  });

  test("alone takes rules and tables, and needs no config that can be read", async () => {
    await site.caller.addChain({ plugins: sbrChain(fixedIpam(["192.0.2.5/24 via 192.0.2.1"])), pod: site.pod });
    await site.caller.call({ verb: "DEL", config: { type: "sbr", table: "x", gateways: ["y"] }, pod: site.pod });
    expect([site.rules(), site.table(100)]).toEqual([[], []]);
  });

  test("never makes a file where the namespace was", async () => {
    site.pod[Symbol.dispose]();
    await site.caller.call({ verb: "DEL", config: { type: "sbr" }, pod: site.pod.path });
    expect(site.pod.exists()).toBe(false);
  });
});

test("STATUS is well on a kernel that has rules", async () => {
  await site.caller.call({ verb: "STATUS", config: { type: "sbr" }, pod: "" });
  await expect(site.caller.call({ verb: "STATUS", config: { type: "sbr", table: 0 }, pod: "" })).rejects.toMatchObject({
    code: 7,
  });
});
