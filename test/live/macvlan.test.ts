// macvlan on a real kernel, called as the dispatcher calls it: what it makes, checks, takes back and leaves.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { emptyResult, type Result } from "../../src/cni/result.ts";
import type { JsonObject } from "../../src/json/value.ts";
import { BuiltinCaller } from "../kit/builtin-caller.ts";
import { useLan } from "../kit/hooks.ts";
import type { PinnedNetns } from "../kit/node-netns.ts";
import { ping } from "../kit/ping.ts";
import { snapshot } from "../kit/snapshot.ts";

const lan = useLan({ nodes: 2 });
const node = () => lan().node(0);
const other = () => lan().node(1);

let caller: BuiltinCaller;
let pod: PinnedNetns;
let beforeNode: unknown;

beforeEach(() => {
  caller = new BuiltinCaller(node());
  pod = node().pod();
  pod.up("lo");
  beforeNode = snapshot(node().path);
});
afterEach(() => {
  caller[Symbol.dispose]();
  // Not left to the kernel, which comes to it when it pleases: passthru wants the master for itself.
  if (pod.exists()) pod.run("sh", "-c", "ip link del net1 2>/dev/null || true");
  pod[Symbol.dispose]();
  for (const each of lan().nodes) each.ip("addr flush dev eth0 scope global");
});

const macvlan = (own: JsonObject = {}) => ({ type: "macvlan", master: "eth0", ...own });

function fixed(addresses: readonly string[], own: JsonObject = {}): JsonObject {
  const list = addresses.map((each) => {
    const [address = "", gateway] = each.split(" via ");
    return gateway === undefined ? { address } : { address, gateway };
  });
  return { ipam: { type: "static", addresses: list, ...own } };
}

const link = (name = "net1", of = pod) => snapshot(of.path).links[name];

/** Addresses of the pod as iproute2 prints them, with their flags, link-local ones included. */
function addresses(of = pod): string[] {
  return of
    .run("ip", "-o", "addr", "show", "dev", "net1")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) =>
      line
        .replace(/^\d+: net1 +/, "")
        .replace(/\\.*$/, "")
        .replaceAll(/\s+/g, " ")
        .trim(),
    );
}

const routes = (of = pod, ...args: string[]) =>
  ["-4", "-6"]
    .flatMap((family) => of.run("ip", family, "route", "show", ...args).split("\n"))
    .map((line) => line.replaceAll(/\s+/g, " ").trim())
    .filter((line) => line !== "" && !line.startsWith("fe80::") && !line.startsWith("multicast"));

describe.each([
  ["on the node", false],
  ["in the pod", true],
])("with its master %s", (_, inPod) => {
  const place: JsonObject = inPod ? { linkInContainer: true, master: "up0" } : {};

  beforeEach(() => {
    if (inPod) pod.ip("link add up0 type veth peer name up1", "link set up0 up", "link set up1 up");
  });

  test.each(["bridge", "private", "vepa", "passthru"])("mode %s makes a link that is up", async (mode) => {
    const result = await caller.add({ config: macvlan({ ...place, mode }), pod });
    expect(link()).toMatchObject({ mtu: 1500, linkinfo: { kind: "macvlan", data: { mode } } });
    expect(link()?.["flags"]).toContain("UP");
    const mac = link()?.["address"];
    const entry = { name: "net1", mac, mtu: 1500, sandbox: pod.path };
    expect(result).toEqual({ ...emptyResult, interfaces: [entry] });
    expect(snapshot(node().path)).toEqual(beforeNode);
  });

  test("IPv4, IPv6 and routes are as the IPAM plugin says, usable at once, and pass CHECK", async () => {
    const config = macvlan({
      ...place,
      ...fixed(["192.0.2.5/24 via 192.0.2.1", "2001:db8::5/64 via 2001:db8::1"], {
        routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
        dns: { nameservers: ["192.0.2.53"] },
      }),
    });
    const result = await caller.add({ config, pod });
    expect(addresses()).toEqual([
      "inet 192.0.2.5/24 brd 192.0.2.255 scope global net1",
      "inet6 2001:db8::5/64 scope global nodad",
      expect.stringMatching(/^inet6 fe80::\S+\/64 scope link nodad$/) as string,
    ]);
    expect(routes()).toEqual([
      "default via 192.0.2.1 dev net1",
      "192.0.2.0/24 dev net1 proto kernel scope link src 192.0.2.5",
      "2001:db8::/64 dev net1 proto kernel metric 256 pref medium",
      "default via 2001:db8::1 dev net1 metric 1024 pref medium",
    ]);
    expect(result.ips.map((ip) => ip.interface)).toEqual([0, 0]);
    expect(result.dns).toEqual({ nameservers: ["192.0.2.53"] });
    expect(snapshot(pod.path).sysctls["net1"]).toMatchObject({
      "ipv4.arp_notify": "1",
      "ipv6.ndisc_notify": "1",
      "ipv6.keep_addr_on_down": "1",
      "ipv6.addr_gen_mode": "0",
      "ipv6.accept_dad": "1",
    });
    await caller.call({ verb: "CHECK", config, pod, prevResult: result });
    await caller.call({ verb: "DEL", config, pod, prevResult: result });
    expect(link()).toBeUndefined();
    expect(snapshot(node().path)).toEqual(beforeNode);
  });

  test("the MAC, the MTU and the broadcast queue are those asked for", async () => {
    const config = macvlan({ ...place, mac: "02:00:00:00:00:0A", mtu: 1400, bcqueuelen: 2000 });
    const result = await caller.add({ config, pod });
    expect(link()).toMatchObject({ address: "02:00:00:00:00:0a", mtu: 1400, linkinfo: { data: { bcqueuelen: 2000 } } });
    expect(result.interfaces).toMatchObject([{ mac: "02:00:00:00:00:0a", mtu: 1400 }]);
    await caller.call({ verb: "CHECK", config, pod, prevResult: result });
  });

  test("the master may be left out where there is a default route", async () => {
    const home = inPod ? pod : node();
    const device = inPod ? "up0" : "eth0";
    await expect(caller.add({ config: macvlan({ ...place, master: "" }), pod })).rejects.toThrow(
      `no default route interface found ${inPod ? `in pod ${pod.path}` : "on the node"}; name the device in "master" (it has`,
    );
    home.ip(`addr add 198.51.100.1/24 dev ${device}`, "route add default via 198.51.100.254");
    const config = macvlan({ ...place, master: "" });
    const result = await caller.add({ config, pod });
    home.ip("route del default");
    // The default route may move on: CHECK does not hold the link to it.
    await caller.call({ verb: "CHECK", config, pod, prevResult: result });
  });

  test("the default route may be IPv6's, or have several next hops", async () => {
    const home = inPod ? pod : node();
    const device = inPod ? "up0" : "eth0";
    home.ip(`addr add 2001:db8:5::1/64 dev ${device} nodad`, "route add default via 2001:db8:5::2");
    await caller.add({ config: macvlan({ ...place, master: "" }), pod });
    home.ip(
      "route del default via 2001:db8:5::2",
      `addr add 198.51.100.1/24 dev ${device}`,
      `route add default nexthop via 198.51.100.2 dev ${device} nexthop via 198.51.100.3 dev ${device}`,
    );
    await caller.add({ config: macvlan({ ...place, master: "" }), pod, ifName: "net2" });
  });

  test("a missing master is named with the place, near misses and what is there", async () => {
    const want = inPod
      ? `Link not found: master "up00" does not exist in pod ${pod.path}; did you mean up0? (it has up1, up0)`
      : 'Link not found: master "eth1" does not exist on the node; did you mean eth0? (it has eth0)';
    const config = macvlan({ ...place, master: inPod ? "up00" : "eth1" });
    await expect(caller.add({ config, pod })).rejects.toMatchObject({ code: 7, message: want });
  });

  test.each([
    [9000, "lower it to 1500, or raise the MTU of MASTER and of the network behind it"],
    [-1, "0 or no mtu leaves it to the kernel, else 68 is the least"],
    [67, "0 or no mtu leaves it to the kernel, else 68 is the least"],
  ])("an MTU of %s is refused with the master's", async (mtu, advice) => {
    const want = `invalid MTU ${mtu}, must be [0, master MTU(1500)]; ${advice.replace("MASTER", inPod ? "up0" : "eth0")}`;
    await expect(caller.add({ config: macvlan({ ...place, mtu }), pod })).rejects.toMatchObject({
      code: 7,
      message: want,
    });
    expect(link()).toBeUndefined();
  });
});

describe("on the wire", () => {
  test("pods of two nodes reach each other in both families, right after ADD", async () => {
    using far = other().pod();
    using farCaller = new BuiltinCaller(other());
    await caller.add({ config: macvlan(fixed(["192.0.2.5/24", "2001:db8::5/64"])), pod });
    await farCaller.add({ config: macvlan(fixed(["192.0.2.6/24", "2001:db8::6/64"])), pod: far });
    ping(pod.path, "192.0.2.6");
    ping(pod.path, "2001:db8::6");
  });

  test("neighbours that knew another MAC for the address learn the new one at once", async () => {
    other().ip(
      "addr add 192.0.2.9/24 dev eth0",
      "addr add 2001:db8::9/64 dev eth0 nodad",
      "neigh replace 192.0.2.7 lladdr 02:00:00:00:00:99 dev eth0 nud stale",
      "neigh replace 2001:db8::7 lladdr 02:00:00:00:00:99 dev eth0 nud stale",
    );
    const result = await caller.add({ config: macvlan(fixed(["192.0.2.7/24", "2001:db8::7/64"])), pod });
    const mac = result.interfaces[0]?.mac;
    const known = (ip: string) => /lladdr (\S+)/.exec(other().run("ip", "neigh", "show", ip))?.[1];
    await expect.poll(() => ["192.0.2.7", "2001:db8::7"].map(known), { timeout: 60_000 }).toEqual([mac, mac]);
  });

  test("one network twice in a pod makes two links", async () => {
    await caller.add({ config: macvlan(fixed(["192.0.2.5/24"])), pod });
    await caller.add({ config: macvlan(fixed(["192.0.2.6/24"])), pod, ifName: "net2" });
    expect(link("net1")?.["address"]).not.toBe(link("net2")?.["address"]);
    await caller.call({ verb: "DEL", config: macvlan(fixed(["192.0.2.6/24"])), pod, ifName: "net2" });
    expect([link("net1") === undefined, link("net2") === undefined]).toEqual([false, true]);
  });
});

describe("routes", () => {
  async function added(
    list: readonly JsonObject[],
    own: readonly string[] = ["192.0.2.5/24 via 192.0.2.1", "2001:db8::5/64"],
  ) {
    const config = macvlan(fixed(own, { routes: list }));
    const result = await caller.add({ config, pod });
    await caller.call({ verb: "CHECK", config, pod, prevResult: result });
    return routes(pod, "table", "all").filter(
      (line) => !line.includes("proto kernel") && !line.includes("table local"),
    );
  }

  test.each<[string, JsonObject[], string[]]>([
    [
      "carry metric, table, MTU and MSS into the kernel",
      [{ dst: "198.51.100.0/24", priority: 50, table: 77, mtu: 1300, advmss: 1200 }],
      ["198.51.100.0/24 via 192.0.2.1 dev net1 table 77 metric 50 mtu 1300 advmss 1200"],
    ],
    [
      "with the same destination and metric become one with several next hops",
      [
        { dst: "198.51.100.0/24", gw: "192.0.2.8" },
        { dst: "198.51.100.0/24", gw: "192.0.2.9" },
        { dst: "2001:db8:1::/48", gw: "2001:db8::8" },
        { dst: "2001:db8:1::/48", gw: "2001:db8::9" },
      ],
      [
        "198.51.100.0/24",
        "nexthop via 192.0.2.8 dev net1 weight 1",
        "nexthop via 192.0.2.9 dev net1 weight 1",
        "2001:db8:1::/48 metric 1024 pref medium",
        "nexthop via 2001:db8::8 dev net1 weight 1",
        "nexthop via 2001:db8::9 dev net1 weight 1",
      ],
    ],
    [
      "said twice are there once",
      [{ dst: "198.51.100.0/24" }, { dst: "198.51.100.0/24" }, { dst: "192.0.2.0/24", scope: 253 }],
      ["192.0.2.0/24 dev net1 scope link", "198.51.100.0/24 via 192.0.2.1 dev net1"],
    ],
    [
      "of scope link have no gateway, and make other gateways reachable",
      [
        { dst: "203.0.113.1/32", scope: 253 },
        { dst: "0.0.0.0/0", gw: "203.0.113.1" },
      ],
      ["default via 203.0.113.1 dev net1", "203.0.113.1 dev net1 scope link"],
    ],
  ])("%s", async (_, list, want) => {
    expect(await added(list)).toEqual(want);
  });

  test("that are there already exactly so are fine", async () => {
    const list = [{ dst: "2001:db8::/64", priority: 256 }, { dst: "198.51.100.0/24" }];
    expect(await added(list)).toContain("198.51.100.0/24 via 192.0.2.1 dev net1");
  });

  test("of another interface are not in the way", async () => {
    await caller.add({
      config: macvlan(fixed(["203.0.113.5/24 via 203.0.113.1"], { routes: [{ dst: "0.0.0.0/0" }] })),
      pod,
      ifName: "eth1",
    });
    expect(await added([{ dst: "0.0.0.0/0" }])).toEqual([
      "default via 192.0.2.1 dev net1",
      "default via 203.0.113.1 dev eth1",
    ]);
  });

  test("an address that is its own network alone passes CHECK", async () => {
    expect(await added([], ["192.0.2.5/32", "2001:db8::5/128"])).toEqual([]);
  });

  test("into IPv4 over a router that has only IPv6 are possible", async () => {
    const list = [{ dst: "198.51.100.0/24", gw: "2001:db8::1" }];
    expect(await added(list)).toEqual(["198.51.100.0/24 via inet6 2001:db8::1 dev net1"]);
  });
});

describe("IPv6", () => {
  test("is switched on in a pod where it is off, and lo gets it back when ADD fails", async () => {
    pod.run("sh", "-c", "for each in all default lo; do echo 1 > /proc/sys/net/ipv6/conf/$each/disable_ipv6; done");
    const before = snapshot(pod.path);
    const broken = macvlan(fixed(["2001:db8::5/64"], { routes: [{ dst: "::/0", gw: "2001:db8:bad::1" }] }));
    await expect(caller.add({ config: broken, pod })).rejects.toThrow("failed to add route");
    expect(snapshot(pod.path)).toEqual(before);
    await caller.add({ config: macvlan(fixed(["2001:db8::5/64"])), pod });
    expect(addresses()).toContain("inet6 2001:db8::5/64 scope global nodad");
  });

  test("keeps its addresses while the link is down", async () => {
    await caller.add({ config: macvlan(fixed(["2001:db8::5/64"])), pod });
    pod.ip("link set net1 down");
    expect(addresses()).toContainEqual(expect.stringContaining("2001:db8::5/64"));
  });

  test("does not wait where the master is down", async () => {
    pod.ip("link add up0 type veth peer name up1");
    const config = macvlan({ linkInContainer: true, master: "up0", ...fixed(["2001:db8::5/64 via 2001:db8::1"]) });
    await caller.add({ config, pod });
    expect(addresses().filter((line) => line.includes("tentative"))).toEqual([]);
    expect(caller.log).toContainEqual(
      expect.objectContaining({
        level: "error",
        message: expect.stringContaining("master up0 of net1 is down") as string,
      }),
    );
  });

  test("with enabledad waits until the address is known to be the only one", async () => {
    await caller.add({ config: macvlan({ enabledad: true, ...fixed(["2001:db8::5/64"]) }), pod });
    expect(addresses()).toContain("inet6 2001:db8::5/64 scope global");
  });

  test("with enabledad finds the node that has the address, and leaves nothing", async () => {
    other().ip("addr add 2001:db8::66/64 dev eth0 nodad");
    const before = snapshot(pod.path);
    const config = macvlan({ enabledad: true, ...fixed(["2001:db8::66/64"]) });
    await expect(caller.add({ config, pod })).rejects.toThrow(
      "link net1 has address 2001:db8::66/64 in DADFAILED state: another node on this network has it",
    );
    expect(snapshot(pod.path)).toEqual(before);
  });

  test("with enabledad does not wait for a link without carrier", async () => {
    pod.ip("link add up0 type veth peer name up1");
    const config = macvlan({ linkInContainer: true, master: "up0", enabledad: true, ...fixed(["2001:db8::5/64"]) });
    await caller.add({ config, pod });
    expect(caller.log.map(({ message }) => message)).toContain(
      "net1 has no carrier: its IPv6 addresses stay tentative until it has",
    );
  });
});

describe("DNS settings", () => {
  test("of the config replace those of the IPAM plugin", async () => {
    const own = fixed(["192.0.2.5/24"], { dns: { nameservers: ["192.0.2.53"], search: ["a.test"] } });
    const result = await caller.add({ config: macvlan({ ...own, dns: { domain: "b.test" } }), pod });
    expect(result.dns).toEqual({ domain: "b.test" });
  });
});

describe("a master from the previous result", () => {
  test("is built on where the config names none", async () => {
    node().ip("link add up0 type veth peer name up1", "link set up0 up");
    const prevResult: Result = { ...emptyResult, interfaces: [{ name: "up0" }] };
    await caller.add({ config: macvlan({ master: "" }), pod, prevResult });
    // With its master goes the link.
    node().ip("link del up0");
    expect(link()).toBeUndefined();
  });
});
