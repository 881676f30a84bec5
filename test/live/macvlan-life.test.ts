// What becomes of a macvlan: CHECK after somebody was at it, DEL in all circumstances, ADD that fails at each step, STATUS and GC.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CniError } from "../../src/cni/error.ts";
import { emptyResult, type Result } from "../../src/cni/result.ts";
import { parseIp } from "../../src/ip/address.ts";
import { parsePrefix } from "../../src/ip/prefix.ts";
import type { JsonObject } from "../../src/json/value.ts";
import { BuiltinCaller } from "../kit/builtin-caller.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { Lan, type PinnedNetns } from "../kit/node-netns.ts";
import { resultIp, ScriptedIpam } from "../kit/scripted-ipam.ts";
import { snapshot } from "../kit/snapshot.ts";

const folder = useTemporaryFolder();
const node = () => lan.node();

/** Of each test its own: the macvlans of a namespace that is gone hold their master until the kernel comes to take them away. */
let lan: Lan;
let ipam: ScriptedIpam;
let caller: BuiltinCaller;
let pod: PinnedNetns;

const config = (own: JsonObject = {}) => ({ type: "macvlan", master: "eth0", ipam: { type: "scripted" }, ...own });

const hasLink = (name = "net1") => pod.exists() && snapshot(pod.path).links[name] !== undefined;

beforeEach(() => {
  ipam = new ScriptedIpam(
    {
      ips: [resultIp("192.0.2.5/24", "192.0.2.1"), resultIp("2001:db8::5/64")],
      routes: [
        { dst: parsePrefix("0.0.0.0/0")! },
        { dst: parsePrefix("198.51.100.0/24")!, gw: parseIp("192.0.2.9")!, priority: 50, mtu: 1300 },
      ],
    },
    hasLink,
  );
  lan = new Lan();
  caller = new BuiltinCaller(node(), [ipam.plugin]);
  pod = node().pod();
});
afterEach(() => {
  caller[Symbol.dispose]();
  lan[Symbol.dispose]();
});

describe("CHECK", () => {
  let result: Result;
  beforeEach(async () => {
    result = await caller.add({ config: config(), pod });
    ipam.forget();
  });

  const check = (own: JsonObject = {}, prevResult = result, of: PinnedNetns | string = pod) =>
    caller.call({ verb: "CHECK", config: config(own), pod: of, prevResult });

  test("asks the IPAM plugin too, and passes on what that says", async () => {
    await check();
    expect(ipam.asked).toEqual(["CHECK with link"]);
    ipam.answers = {
      check: () => {
        throw new CniError(103, "no lease");
      },
    };
    await expect(check()).rejects.toMatchObject({ code: 103, message: "no lease" });
  });

  test.each<[string, string[]]>([
    [
      "source based routing moved the routes to another table",
      [
        "rule add from 192.0.2.5 lookup 100",
        "route flush table main dev net1",
        "route add 192.0.2.0/24 dev net1 table 100",
        "route add default via 192.0.2.1 dev net1 table 100",
        "route add 198.51.100.0/24 via 192.0.2.9 dev net1 metric 50 mtu 1300 table 100",
      ],
    ],
    [
      "there are more addresses and routes",
      ["addr add 203.0.113.1/24 dev net1", "route add 203.0.113.128/25 dev net1"],
    ],
    ["the default route goes over another gateway", ["route replace default via 192.0.2.77 dev net1"]],
  ])("is content when %s", async (_, lines) => {
    pod.ip(...lines);
    await check();
  });

  test("is content when prevResult writes the MAC in capitals and the namespace by another path", async () => {
    const [entry] = result.interfaces;
    const mac = entry?.mac?.toUpperCase().replaceAll(":", "-") ?? "";
    const alias = pod.path.replace("/run/", "/run/../run/");
    await check({}, { ...result, interfaces: [{ name: "net1", mac, sandbox: alias }] });
  });

  test.each<[string, string[], string]>([
    [
      "an address is gone",
      ["addr del 192.0.2.5/24 dev net1"],
      "Failed to match addr 192.0.2.5/24 on interface net1: it has 2001:db8::5/64",
    ],
    [
      "an address has another prefix length",
      ["addr del 192.0.2.5/24 dev net1", "addr add 192.0.2.5/25 dev net1"],
      "Failed to match addr 192.0.2.5/24 on interface net1: there it is 192.0.2.5/25",
    ],
    [
      "the subnet's route is gone",
      ["route del 192.0.2.0/24 dev net1"],
      "Failed to find Gateway 192.0.2.1 for interface net1: no table has a route to 192.0.2.0/24 over it",
    ],
    [
      "the default route is gone",
      ["route del default"],
      "Expected Route 0.0.0.0/0 via 192.0.2.1 not found in routing table: no route to 0.0.0.0/0 over net1",
    ],
    [
      "a route is gone",
      ["route del 198.51.100.0/24"],
      "Expected Route 198.51.100.0/24 via 192.0.2.9 priority 50 mtu 1300 not found in routing table: no route to 198.51.100.0/24 over net1",
    ],
    [
      "a route goes over another gateway",
      ["route replace 198.51.100.0/24 via 192.0.2.8 metric 50 mtu 1300"],
      "Expected Route 198.51.100.0/24 via 192.0.2.9 priority 50 mtu 1300 not found in routing table: the route there is via 192.0.2.8",
    ],
    [
      "a route has another metric",
      ["route del 198.51.100.0/24", "route add 198.51.100.0/24 via 192.0.2.9 metric 51 mtu 1300"],
      "Expected Route 198.51.100.0/24 via 192.0.2.9 priority 50 mtu 1300 not found in routing table: the route there is of metric 51",
    ],
    [
      "a route has another MTU",
      ["route replace 198.51.100.0/24 via 192.0.2.9 metric 50 mtu 1200"],
      "Expected Route 198.51.100.0/24 via 192.0.2.9 priority 50 mtu 1300 not found in routing table: the route there is of mtu 1200",
    ],
    ["the link is down", ["link set net1 down"], "interface net1 is down"],
    ["the link is gone", ["link del net1"], "container Interface name in prevResult: net1 not found"],
    ["the link is of another kind", ["link del net1", "link add net1 type bridge"], "interface net1 Mac "],
  ])("finds that %s", async (_, lines, message) => {
    pod.ip(...lines);
    await expect(check()).rejects.toMatchObject({ code: 999, message: expect.stringContaining(message) as string });
  });

  test("finds another MAC, and says both", async () => {
    const mac = result.interfaces[0]?.mac;
    pod.ip("link set net1 address 02:00:00:00:00:77");
    await expect(check()).rejects.toThrow(`interface net1 Mac ${mac} doesn't match container Mac: 02:00:00:00:00:77`);
  });

  test("finds another kind of link with the same MAC", async () => {
    const mac = result.interfaces[0]?.mac ?? "";
    pod.ip("link del net1", `link add net1 address ${mac} type bridge`);
    await expect(check()).rejects.toThrow("error: Container interface net1 not of type macvlan, it is bridge");
  });

  test("finds another mode, MTU and master", async () => {
    await expect(check({ mode: "vepa" })).rejects.toThrow(
      "container macvlan mode bridge does not match expected value: vepa",
    );
    await check({ mtu: 1500 });
    pod.ip("link set net1 mtu 1400");
    await expect(check({ mtu: 1500 })).rejects.toThrow(
      "container macvlan MTU 1400 does not match expected value: 1500",
    );
    node().ip("link add up0 type veth peer name up1");
    await expect(check({ master: "up0" })).rejects.toThrow("container macvlan net1 is not on master up0");
    node().ip("link del up0");
    await expect(check({ master: "up0" })).rejects.toThrow('Link not found: master "up0" does not exist on the node');
  });

  test("needs the interface and the pod's namespace in prevResult", async () => {
    const [entry] = result.interfaces;
    await expect(check({}, { ...result, interfaces: [] })).rejects.toThrow(
      `doesn't match configured netns: ${pod.path} (prevResult has no interface net1, it has none)`,
    );
    await expect(
      check({}, { ...result, interfaces: [{ ...entry, name: "net1", sandbox: node().path }] }),
    ).rejects.toThrow(`sandbox in prevResult ${node().path} doesn't match configured netns: ${pod.path}`);
    await expect(check({}, result, "/run/netns/nowhere")).rejects.toMatchObject({ code: 8 });
  });

  test("accepts a macvlan on a macvlan, which the kernel puts on the device below", async () => {
    node().ip("link add link eth0 name mv0 type macvlan mode bridge", "link set mv0 up");
    const own = { master: "mv0", ipam: {} };
    const nested = await caller.add({ config: config(own), pod, ifName: "net2" });
    await caller.call({ verb: "CHECK", config: config(own), pod, ifName: "net2", prevResult: nested });
    node().ip("link del mv0");
  });
});

describe("DEL", () => {
  beforeEach(async () => {
    await caller.add({ config: config(), pod });
    ipam.forget();
  });

  const del = (of: PinnedNetns | string = pod, own: JsonObject = {}) =>
    caller.call({ verb: "DEL", config: config(own), pod: of });

  test("takes the link before the address is given back, and may come twice", async () => {
    await del();
    await del();
    expect(ipam.asked).toEqual(["DEL without link", "DEL without link"]);
    expect(hasLink()).toBe(false);
  });

  test.each<[string, () => string]>([
    ["is gone", () => (pod[Symbol.dispose](), pod.path)],
    ["was never told", () => ""],
    ["left a plain file", () => folder().write("file", "")],
  ])("gives the address back when the namespace %s", async (_, path) => {
    await del(path());
    expect(ipam.asked).toHaveLength(1);
  });

  test.each<[string, JsonObject]>([
    ["the master is not there", { master: "nowhere" }],
    ["there is no master and no default route", { master: "" }],
    ["the config no longer parses", { mode: "zzz", mac: "junk", mtu: "many" }],
    ["the master was to be in the pod", { linkInContainer: true, master: "nowhere" }],
  ])("needs no config: %s", async (_, own) => {
    await del(pod, own);
    expect([ipam.asked, hasLink()]).toEqual([["DEL without link"], false]);
  });

  test("keeps the address when the link can't be deleted", async () => {
    await expect(caller.call({ verb: "DEL", config: config(), pod, ifName: "lo" })).rejects.toThrow(
      'failed to delete "lo": operation not supported',
    );
    expect(ipam.asked).toEqual([]);
  });
});

describe("an ADD that fails leaves nothing and gives the address back:", () => {
  let before: unknown;
  beforeEach(() => {
    before = [snapshot(pod.path), snapshot(node().path)];
  });

  async function refused(own: JsonObject = {}): Promise<CniError> {
    const error: unknown = await caller.add({ config: config(own), pod }).catch((reason: unknown) => reason);
    expect([snapshot(pod.path), snapshot(node().path)]).toEqual(before);
    if (error instanceof CniError) return error;
    throw new Error(`expected a CNI error, got ${String(error)}`);
  }

  test("no namespace", async () => {
    await expect(caller.add({ config: config(), pod: "/run/netns/nowhere" })).rejects.toMatchObject({
      code: 8,
      message: 'failed to open netns "/run/netns/nowhere": network namespace /run/netns/nowhere does not exist',
    });
    await expect(caller.add({ config: config(), pod: folder().write("plain", "") })).rejects.toMatchObject({
      code: 8,
      message: expect.stringContaining("is not a network namespace (unknown FS magic on") as string,
      details: expect.stringContaining("mountPropagation") as string,
    });
    expect(ipam.asked).toEqual([]);
  });

  test("the name is taken", async () => {
    pod.ip("link add net1 type bridge");
    before = [snapshot(pod.path), snapshot(node().path)];
    const { message } = await refused();
    expect(message).toBe(
      `failed to create macvlan: file exists; pod ${pod.path} has an interface net1 already, of another network or left by an attachment that was never deleted`,
    );
    expect(ipam.asked).toEqual([]);
  });

  test("the master is a bridge's port", async () => {
    node().ip("link add br0 type bridge", "link set eth0 master br0");
    before = [snapshot(pod.path), snapshot(node().path)];
    const { message } = await refused();
    node().ip("link del br0");
    expect(message).toBe(
      "failed to create macvlan: device or resource busy; eth0 is a port of br0; name br0 as the master",
    );
  });

  test("the master is no Ethernet device", async () => {
    const { message } = await refused({ master: "lo" });
    expect(message).toBe(
      "failed to create macvlan: invalid argument; lo is no Ethernet device, which the master of a macvlan has to be",
    );
  });

  test("the IPAM plugin refuses", async () => {
    ipam.answers = {
      add: () => {
        throw new CniError(50, "no free address");
      },
    };
    expect(await refused()).toMatchObject({ code: 50, message: "no free address" });
    expect(ipam.asked).toEqual(["DEL with link"]);
  });

  test("the IPAM plugin has no address", async () => {
    ipam.given = emptyResult;
    expect((await refused()).message).toBe("IPAM plugin returned missing IP config");
    expect(ipam.asked).toEqual(["ADD with link", "DEL without link"]);
  });

  test.each<[string, () => Result, string]>([
    [
      "an address is refused",
      () => ({ ...ipam.given, ips: [resultIp("ff02::5/64")] }),
      'failed to add IP addr ff02::5/64 to "net1": cannot assign requested address',
    ],
    [
      "a gateway is out of reach",
      () => ({ ...ipam.given, routes: [{ dst: parsePrefix("198.51.100.0/24")!, gw: parseIp("203.0.113.1")! }] }),
      `failed to add route '198.51.100.0/24 via 203.0.113.1 dev net1': network is unreachable (kernel: Nexthop has invalid gateway); gateway 203.0.113.1 is in no subnet of net1 (192.0.2.5/24, 2001:db8::5/64); give the address a prefix that covers it or put the route {"dst":"203.0.113.1/32","scope":253} first`,
    ],
    [
      "a gateway of IPv6 is out of reach",
      () => ({ ...ipam.given, routes: [{ dst: parsePrefix("::/0")!, gw: parseIp("2001:db8:bad::1")! }] }),
      `failed to add route '::/0 via 2001:db8:bad::1 dev net1': no route to host`,
    ],
    [
      "a gateway contradicts the scope",
      () => ({
        ...ipam.given,
        routes: [{ dst: parsePrefix("198.51.100.0/24")!, gw: parseIp("192.0.2.1")!, scope: 254 }],
      }),
      "failed to add route '198.51.100.0/24 via 192.0.2.1 dev net1 scope 254': invalid argument",
    ],
    [
      "a destination has host bits",
      () => ({ ...ipam.given, routes: [{ dst: parsePrefix("198.51.100.5/24")! }] }),
      "failed to add route '198.51.100.5/24': the destination has host bits; write 198.51.100.0/24",
    ],
  ])("%s", async (_, result, message) => {
    ipam.given = result();
    expect((await refused()).message).toContain(message);
    expect(ipam.asked).toEqual(["ADD with link", "DEL without link"]);
  });

  test("the MAC is taken", async () => {
    const mac = "02:00:00:00:00:01";
    await caller.add({ config: config({ mac, ipam: {} }), pod, ifName: "net9" });
    before = [snapshot(pod.path), snapshot(node().path)];
    const { message } = await refused({ mac });
    expect(message).toBe(
      `failed to set "net1" UP: address already in use; MAC ${mac} is eth0's own or that of another macvlan on it; choose another or leave "mac" out`,
    );
    expect(ipam.asked).toEqual(["ADD with link", "DEL without link"]);
  });
});

describe("STATUS", () => {
  const status = (own: JsonObject = {}) => caller.call({ verb: "STATUS", config: config(own), pod: "" });

  test("is well when the IPAM plugin is and the master is there", async () => {
    await status();
    expect(ipam.asked).toEqual(["STATUS without link"]);
  });
  test("does not look for a master that is to be in a pod", async () => {
    await status({ linkInContainer: true, master: "nowhere" });
  });
  test("says 50 without the master, and without a default route to take it from", async () => {
    await expect(status({ master: "nowhere" })).rejects.toMatchObject({
      code: 50,
      message: expect.stringContaining('master "nowhere" does not exist on the node') as string,
    });
    await expect(status({ master: "" })).rejects.toMatchObject({
      code: 50,
      message: expect.stringContaining("no default route interface found on the node") as string,
    });
  });
  test("says what the IPAM plugin says", async () => {
    ipam.answers = {
      status: () => {
        throw new CniError(51, "nearly full");
      },
    };
    await expect(status()).rejects.toMatchObject({ code: 51, message: "nearly full" });
  });
});

test("GC hands the list of valid attachments to the IPAM plugin", async () => {
  const valid = [{ containerID: "ctr1", ifname: "net1" }];
  await caller.call({ verb: "GC", config: config({ "cni.dev/valid-attachments": valid, mode: "zzz" }), pod: "" });
  expect(ipam.asked).toEqual(["GC ctr1/net1"]);
});
