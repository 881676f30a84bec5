// bridge on a real kernel, called as the dispatcher calls it: what it makes of the node and of the pod, and what gets through.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { formatIp } from "../../src/ip/address.ts";
import { formatPrefix } from "../../src/ip/prefix.ts";
import type { JsonObject } from "../../src/json/value.ts";
import type { LogEntry } from "../../src/log/logger.ts";
import { loggerTo } from "../../src/log/logger.ts";
import { Netns } from "../../src/netns/netns.ts";
import { awaitPort } from "../../src/plugins/bridge/port.ts";
import { requireLink } from "../../src/rtnl/link.ts";
import { BuiltinCaller } from "../kit/builtin-caller.ts";
import { NodeNetns, type PinnedNetns } from "../kit/node-netns.ts";
import { ping } from "../kit/ping.ts";
import { snapshot } from "../kit/snapshot.ts";

let node: NodeNetns;
let caller: BuiltinCaller;
let pod: PinnedNetns;

beforeEach(() => {
  node = new NodeNetns();
  caller = new BuiltinCaller(node);
  pod = node.pod();
  pod.ip("link set lo up");
});
afterEach(() => {
  caller[Symbol.dispose]();
  node[Symbol.dispose]();
});

const bridge = (own: JsonObject = {}) => ({ type: "bridge", ...own });

function fixed(addresses: readonly string[], own: JsonObject = {}): JsonObject {
  const list = addresses.map((each) => {
    const [address = "", gateway] = each.split(" via ");
    return gateway === undefined ? { address } : { address, gateway };
  });
  return { ipam: { type: "static", addresses: list, ...own } };
}

const dual = fixed(["10.1.2.5/24", "fd00:1::5/64"]);
const link = (name: string, of: PinnedNetns = node) => snapshot(of.path).links[name];
const port = () => Object.entries(snapshot(node.path).links).find(([name]) => name.startsWith("veth"));
const sysctl = (of: PinnedNetns, key: string) => of.run("cat", `/proc/sys/net/${key}`).trim();
const addresses = (of: PinnedNetns, device: string) =>
  Object.keys(snapshot(of.path).addresses)
    .filter((name) => name.startsWith(`${device} `) && !name.includes(" fe80:"))
    .map((name) => name.slice(device.length + 1));
const routes = (of = pod) =>
  ["-4", "-6"]
    .flatMap((family) => of.run("ip", family, "route", "show").split("\n"))
    .map((line) => line.replaceAll(/\s+/g, " ").trim())
    .filter((line) => line !== "" && !line.startsWith("fe80::"));
const messages = () => caller.log.map(({ message }) => message);

describe("the bridge", () => {
  test("is made with a MAC of its own, which stays as pods come and go", async () => {
    const result = await caller.add({ config: bridge(), pod });
    const mac = link("cni0")?.["address"];
    expect(result.interfaces[0]).toEqual({ name: "cni0", mac });
    expect(link("cni0")).toMatchObject({ mtu: 1500, linkinfo: { kind: "bridge", data: { stp_state: 0 } } });
    expect(link("cni0")?.["flags"]).toContain("UP");
    expect(sysctl(node, "ipv6/conf/cni0/accept_ra")).toBe("0");
    for (let count = 0; count < 4; count++) await caller.add({ config: bridge(), pod: node.pod() });
    expect(link("cni0")?.["address"]).toBe(mac);
    await caller.call({ verb: "DEL", config: bridge(), pod });
    expect(link("cni0")?.["address"]).toBe(mac);
  });

  test("keeps the MTU that it was made with when the last pod leaves", async () => {
    const config = bridge({ mtu: 1400 });
    await caller.add({ config, pod });
    expect([link("cni0")?.["mtu"], port()?.[1]["mtu"], link("net1", pod)?.["mtu"]]).toEqual([1400, 1400, 1400]);
    await caller.call({ verb: "DEL", config, pod });
    expect(link("cni0")?.["mtu"]).toBe(1400);
  });

  test("is raised to a larger MTU, and never lowered", async () => {
    await caller.add({ config: bridge({ mtu: 1400 }), pod });
    await caller.add({ config: bridge({ mtu: 9000 }), pod, ifName: "net2" });
    expect(link("cni0")?.["mtu"]).toBe(9000);
    await caller.add({ config: bridge({ mtu: 1400 }), pod, ifName: "net3" });
    expect(link("cni0")?.["mtu"]).toBe(9000);
  });

  test("of somebody else is used as it is", async () => {
    node.ip(
      "link add br0 address 02:00:00:00:00:10 type bridge stp_state 1 forward_delay 200",
      "addr add 192.0.2.1/24 dev br0",
    );
    const result = await caller.add({ config: bridge({ bridge: "br0" }), pod });
    expect(result.interfaces[0]).toEqual({ name: "br0", mac: "02:00:00:00:00:10" });
    expect(link("br0")).toMatchObject({ linkinfo: { data: { stp_state: 1, forward_delay: 200 } } });
    expect(addresses(node, "br0")).toEqual(["192.0.2.1/24"]);
  });

  test("is promiscuous once it was asked to be", async () => {
    await caller.add({ config: bridge(), pod });
    expect(link("cni0")?.["flags"]).not.toContain("PROMISC");
    await caller.add({ config: bridge({ promiscMode: true }), pod, ifName: "net2" });
    await caller.add({ config: bridge(), pod, ifName: "net3" });
    expect(link("cni0")?.["flags"]).toContain("PROMISC");
  });

  test("is refused when the name is another device's", async () => {
    node.ip("link add cni0 type veth peer name other");
    await expect(caller.add({ config: bridge(), pod })).rejects.toMatchObject({
      code: 999,
      message:
        'failed to create bridge "cni0": "cni0" already exists but is not a bridge: it is of kind veth; name another in "bridge"',
    });
    await expect(caller.call({ verb: "STATUS", config: bridge(), pod: "" })).rejects.toMatchObject({ code: 50 });
  });

  test("filters no VLANs on this kernel, which ADD says, and leaves nothing of the pod", async () => {
    const before = snapshot(pod.path);
    const cause = "operation not supported; this kernel's bridge can't filter VLANs (CONFIG_BRIDGE_VLAN_FILTERING)";
    await expect(caller.add({ config: bridge({ vlan: 100 }), pod })).rejects.toThrow(
      `failed to create bridge "cni0": ${cause}`,
    );
    expect(link("cni0")).toBeUndefined();
    node.ip("link add cni0 type bridge");
    const message = expect.stringMatching(/^failed to setup vlan tag on interface "veth[0-9a-f]{8}": /) as string;
    const refused = { message, code: 999 };
    await expect(caller.add({ config: bridge({ vlan: 100 }), pod })).rejects.toMatchObject(refused);
    await expect(caller.add({ config: bridge({ vlan: 100 }), pod })).rejects.toThrow(cause);
    expect([snapshot(pod.path), port()]).toEqual([before, undefined]);
    expect(messages().join()).toContain("bridge cni0 does not filter VLANs");
  });
});

describe("the pair", () => {
  test("is a port on the node and an interface in the pod, as the result says", async () => {
    const result = await caller.add({ config: bridge(), pod });
    const [name = "", found] = port() ?? [];
    expect(result).toEqual({
      interfaces: [
        { name: "cni0", mac: link("cni0")?.["address"] },
        { name, mac: found?.["address"] },
        { name: "net1", mac: link("net1", pod)?.["address"], sandbox: pod.path },
      ],
      ips: [],
      routes: [],
      dns: {},
    });
    expect(name).toMatch(/^veth[0-9a-f]{8}$/);
    // No transmit queue on the node: its discipline would only add latency.
    expect(found).toMatchObject({
      ifalias: "cni:net/ctr0/net1",
      linkinfo: { port: { hairpin: false, isolated: false } },
    });
    expect(found?.["txqlen"]).toBeUndefined();
    expect(link("net1", pod)).toMatchObject({ txqlen: 1000, linkinfo: { kind: "veth" } });
    expect(link("net1", pod)?.["flags"]).toContain("UP");
    expect(sysctl(node, `ipv6/conf/${name}/accept_ra`)).toBe("0");
    expect(messages()).toEqual([]);
  });

  test("has the MAC that was asked for", async () => {
    const config = bridge({ runtimeConfig: { mac: "02-00-00-00-00-0A" } });
    const result = await caller.add({ config, pod });
    expect([link("net1", pod)?.["address"], result.interfaces[2]?.mac]).toEqual([
      "02:00:00:00:00:0a",
      "02:00:00:00:00:0a",
    ]);
    await caller.call({ verb: "CHECK", config, pod, prevResult: result });
  });

  test("has hairpin mode and isolation as asked for", async () => {
    await caller.add({ config: bridge({ hairpinMode: true, portIsolation: true }), pod });
    expect(port()?.[1]).toMatchObject({ linkinfo: { port: { hairpin: true, isolated: true } } });
  });

  test("may be left down in the pod, without waiting", async () => {
    await caller.add({ config: bridge({ disableContainerInterface: true }), pod });
    expect(link("net1", pod)?.["flags"]).not.toContain("UP");
    expect(port()?.[1]["flags"]).toContain("UP");
    expect(messages()).toEqual([]);
  });

  test("can be there twice for one network", async () => {
    const second = fixed(["10.1.2.6/24"]);
    const first = await caller.add({ config: bridge(fixed(["10.1.2.5/24"])), pod });
    await caller.add({ config: bridge(second), pod, ifName: "net2" });
    await caller.call({ verb: "DEL", config: bridge(second), pod, ifName: "net2" });
    await caller.call({ verb: "CHECK", config: bridge(fixed(["10.1.2.5/24"])), pod, prevResult: first });
  });

  test("gets another name on the node where somebody has the first one", async () => {
    const [, first] = (await caller.add({ config: bridge(), pod })).interfaces;
    await caller.call({ verb: "DEL", config: bridge(), pod });
    node.ip(`link add ${first?.name} type bridge`);
    const [, second] = (await caller.add({ config: bridge(), pod })).interfaces;
    expect(second?.name).not.toBe(first?.name);
    pod[Symbol.dispose]();
    await caller.call({ verb: "DEL", config: bridge(), pod: "" });
    expect(Object.keys(snapshot(node.path).links).filter((name) => name.startsWith("veth"))).toEqual([first?.name]);
  });

  test("whose port is late is logged, and not refused", () => {
    node.ip(
      "link add br0 type bridge",
      "link set br0 up",
      "link add p0 type veth peer name p1",
      "link set p0 master br0 up",
    );
    const log: LogEntry[] = [];
    using host = Netns.open(node.path);
    const [p0, br0] = ["p0", "br0"].map((name) => requireLink(host.rtnl, name));
    const found = awaitPort(
      host,
      p0!,
      br0!,
      loggerTo("debug", (entry) => log.push(entry)),
    );
    expect(found).toMatchObject({ port: { name: "p0" }, bridge: { name: "br0" } });
    expect(log.map(({ message }) => message)).toEqual([
      "bridge port p0 is lowerlayerdown 500 ms after both its ends were brought up",
    ]);
  });
});

describe("the gateway", () => {
  test("has the first address of each network, and the node forwards", async () => {
    const result = await caller.add({ config: bridge({ isGateway: true, ...dual }), pod });
    expect(addresses(node, "cni0")).toEqual(["10.1.2.1/24", "fd00:1::1/64"]);
    expect([sysctl(node, "ipv4/ip_forward"), sysctl(node, "ipv6/conf/all/forwarding")]).toEqual(["1", "1"]);
    expect(routes()).toEqual([
      "10.1.2.0/24 dev net1 proto kernel scope link src 10.1.2.5",
      "fd00:1::/64 dev net1 proto kernel metric 256 pref medium",
    ]);
    await caller.call({ verb: "CHECK", config: bridge({ isGateway: true, ...dual }), pod, prevResult: result });
    ping(pod.path, "10.1.2.1");
    ping(pod.path, "fd00:1::1");
  });

  test("is not there, and the node does not forward, unless asked for", async () => {
    await caller.add({ config: bridge(dual), pod });
    expect(addresses(node, "cni0")).toEqual([]);
    expect([sysctl(node, "ipv4/ip_forward"), sysctl(node, "ipv6/conf/all/forwarding")]).toEqual(["0", "0"]);
  });

  test("forwards only the families that it has", async () => {
    await caller.add({ config: bridge({ isGateway: true, ...fixed(["10.1.2.5/24"]) }), pod });
    expect([sysctl(node, "ipv4/ip_forward"), sysctl(node, "ipv6/conf/all/forwarding")]).toEqual(["1", "0"]);
  });

  test.each<[string, JsonObject, string[], string[]]>([
    [
      "both families",
      dual,
      ["0.0.0.0/0 10.1.2.1", "::/0 fd00:1::1"],
      ["default via 10.1.2.1 dev net1", "default via fd00:1::1 dev net1 metric 1024 pref medium"],
    ],
    [
      "a route that the IPAM plugin left without gateway",
      fixed(["10.1.2.5/24"], { routes: [{ dst: "0.0.0.0/0" }] }),
      ["0.0.0.0/0 10.1.2.1"],
      ["default via 10.1.2.1 dev net1"],
    ],
    [
      "the IPAM plugin's own route",
      fixed(["10.1.2.5/24"], { routes: [{ dst: "0.0.0.0/0", gw: "10.1.2.99" }] }),
      ["0.0.0.0/0 10.1.2.99"],
      ["default via 10.1.2.99 dev net1"],
    ],
    [
      "the IPAM plugin's gateway",
      fixed(["10.1.2.5/24 via 10.1.2.77"]),
      ["0.0.0.0/0 10.1.2.77"],
      ["default via 10.1.2.77 dev net1"],
    ],
  ])("is the default gateway by %s", async (_, ipam, told, want) => {
    const config = bridge({ isDefaultGateway: true, ...ipam });
    const result = await caller.add({ config, pod });
    expect(result.routes.map(({ dst, gw }) => `${formatPrefix(dst)} ${gw === undefined ? "" : formatIp(gw)}`)).toEqual(
      told,
    );
    expect(routes().filter((line) => line.startsWith("default"))).toEqual(want);
    await caller.call({ verb: "CHECK", config, pod, prevResult: result });
  });

  test("has all addresses of a pod with several networks, also for the next pod", async () => {
    const config = (host: number) =>
      bridge({
        isGateway: true,
        ...fixed([`10.1.2.${host}/24`, `10.1.3.${host}/24`, `fd00:1::${host}/64`, `fd00:2::${host}/64`]),
      });
    await caller.add({ config: config(5), pod });
    await caller.add({ config: config(6), pod: node.pod() });
    expect(addresses(node, "cni0")).toEqual(["10.1.2.1/24", "10.1.3.1/24", "fd00:2::1/64", "fd00:1::1/64"]);
  });

  describe("beside another address of the bridge", () => {
    const config = (own: JsonObject = {}) => bridge({ isGateway: true, ...fixed(["10.1.2.5/24"]), ...own });
    const six = fixed(["fd00:1::5/64"]);

    test.each<[string, string, JsonObject, string]>([
      ["of its network", "10.1.2.9/24", {}, "10.1.2.1/24"],
      ["of another IPv4 network", "10.9.9.9/24", {}, "10.1.2.1/24"],
      ["with another length", "10.1.2.1/16", {}, "10.1.2.1/24"],
      ["of an overlapping IPv6 network", "fd00:1::9/48", six, "fd00:1::1/64"],
    ])("%s is refused or, when forced, put in its place", async (_, present, ipam, wanted) => {
      node.ip("link add cni0 type bridge", `addr add ${present} dev cni0 ${present.includes(":") ? "nodad" : ""}`);
      await expect(caller.add({ config: config(ipam), pod })).rejects.toMatchObject({
        code: 999,
        message: `failed to set bridge addr: "cni0" already has an IP address different from ${wanted}: it has ${present}; name another bridge, or let "forceAddress" replace it`,
      });
      expect([link("net1", pod), port()]).toEqual([undefined, undefined]);
      expect(addresses(node, "cni0")).toEqual([present]);
      await caller.add({ config: config({ ...ipam, forceAddress: true }), pod });
      expect(addresses(node, "cni0")).toEqual([wanted]);
    });

    test("of another IPv6 network is fine", async () => {
      node.ip("link add cni0 type bridge", "addr add fd00:9::9/64 dev cni0 nodad");
      await caller.add({ config: config(six), pod });
      expect(addresses(node, "cni0").sort()).toEqual(["fd00:1::1/64", "fd00:9::9/64"]);
    });

    test("that is its own is fine, whoever put it there", async () => {
      node.ip("link add cni0 type bridge", "addr add 10.1.2.1/24 dev cni0");
      await caller.add({ config: config(), pod });
      expect(addresses(node, "cni0")).toEqual(["10.1.2.1/24"]);
    });
  });

  test("holds fast the MAC that pods will remember, on a bridge that had none", async () => {
    node.ip(
      "link add cni0 type bridge",
      "link set cni0 up",
      "link add p0 type veth peer name p1",
      "link set p0 master cni0",
      "link del p0",
    );
    expect(link("cni0")?.["address"]).toBe("00:00:00:00:00:00");
    const result = await caller.add({ config: bridge({ isGateway: true, ...dual }), pod });
    const mac = link("cni0")?.["address"];
    expect([result.interfaces[0]?.mac, mac === "00:00:00:00:00:00"]).toEqual([mac, false]);
    await caller.call({ verb: "DEL", config: bridge(dual), pod });
    expect(link("cni0")?.["address"]).toBe(mac);
  });
});

describe("on the wire", () => {
  const at = (host: number, own: JsonObject = {}) =>
    bridge({ isGateway: true, ...fixed([`10.1.2.${host}/24`, `fd00:1::${host}/64`]), ...own });

  test("pods reach each other and the node in both families, right after ADD", async () => {
    const other = node.pod();
    await caller.add({ config: at(5), pod });
    await caller.add({ config: at(6), pod: other });
    for (const address of ["10.1.2.6", "fd00:1::6", "10.1.2.1", "fd00:1::1"]) ping(pod.path, address);
    ping(node.path, "10.1.2.5");
  });

  test("isolated pods reach the node and not each other", async () => {
    const other = node.pod();
    await caller.add({ config: at(5, { portIsolation: true }), pod });
    await caller.add({ config: at(6, { portIsolation: true }), pod: other });
    ping(pod.path, "10.1.2.1");
    expect(() => ping(pod.path, "10.1.2.6", { timeoutMs: 600 })).toThrow("does not answer");
  });

  test("the bridge's neighbours learn at once that an address has moved to another pod", async () => {
    await caller.add({ config: at(6), pod: node.pod() });
    node.ip("neigh replace 10.1.2.5 lladdr 02:00:00:00:00:99 dev cni0 nud stale");
    const result = await caller.add({ config: at(5), pod });
    const known = () => /lladdr (\S+)/.exec(node.run("ip", "neigh", "show", "10.1.2.5"))?.[1];
    await expect.poll(known).toBe(result.interfaces[2]?.mac);
  });
});

describe("detection of duplicate IPv6 addresses", () => {
  test("is off, so that addresses are usable at once", async () => {
    await caller.add({ config: bridge({ hairpinMode: true, isGateway: true, ...dual }), pod });
    expect(sysctl(pod, "ipv6/conf/net1/accept_dad")).toBe("0");
    expect(pod.run("ip", "-6", "addr", "show", "tentative")).toBe("");
    expect(node.run("ip", "-6", "addr", "show", "dev", "cni0", "tentative", "scope", "global")).toBe("");
  });

  test("is done, and waited for, when asked for", async () => {
    await caller.add({ config: bridge({ enabledad: true, ...dual }), pod });
    expect([sysctl(pod, "ipv6/conf/net1/accept_dad"), sysctl(pod, "ipv6/conf/net1/enhanced_dad")]).toEqual(["1", "1"]);
    expect(pod.run("ip", "-6", "addr", "show", "scope", "global", "tentative")).toBe("");
    expect(pod.run("ip", "-6", "addr", "show", "scope", "global")).not.toContain("nodad");
  });

  test("finds the pod that has the address, and ADD leaves nothing", async () => {
    await caller.add({ config: bridge(dual), pod: node.pod() });
    const before = [snapshot(node.path), snapshot(pod.path)];
    await expect(caller.add({ config: bridge({ enabledad: true, ...dual }), pod })).rejects.toThrow(
      "link net1 has address fd00:1::5/64 in DADFAILED state",
    );
    expect([snapshot(node.path), snapshot(pod.path)]).toEqual(before);
  });
});

describe("DNS settings", () => {
  test("are the IPAM plugin's unless the config has its own", async () => {
    const ipam = fixed(["10.1.2.5/24"], { dns: { nameservers: ["192.0.2.53"] } });
    expect((await caller.add({ config: bridge(ipam), pod })).dns).toEqual({ nameservers: ["192.0.2.53"] });
    const own = { ...ipam, dns: { search: [] } };
    expect((await caller.add({ config: bridge(own), pod, ifName: "net2" })).dns).toEqual({ search: [] });
  });
});

describe.each(["iptables", "nftables"])("with %s", (ipMasqBackend) => {
  const config = bridge({ ipMasq: true, ipMasqBackend, macspoofchk: true, isGateway: true, ...dual });
  const rules = () => {
    const { nft, iptables } = snapshot(node.path);
    return JSON.stringify([nft, iptables]);
  };

  test("ADD makes the rules, CHECK looks for them, DEL removes them", async () => {
    const result = await caller.add({ config, pod });
    const mac = result.interfaces[2]?.mac ?? "";
    expect(rules()).toContain("ctr0");
    expect(rules().toLowerCase()).toContain("masquerade");
    expect(rules()).toContain(mac);
    await caller.call({ verb: "CHECK", config, pod, prevResult: result });
    node.run("nft", "flush", "ruleset");
    await expect(caller.call({ verb: "CHECK", config, pod, prevResult: result })).rejects.toMatchObject({ code: 999 });
  });

  test.each<[string, (result: Awaited<ReturnType<BuiltinCaller["add"]>>) => Promise<unknown>]>([
    ["DEL", (prevResult) => caller.call({ verb: "DEL", config, pod, prevResult })],
    ["DEL without result", () => caller.call({ verb: "DEL", config, pod })],
    ["DEL without namespace and result", () => (pod[Symbol.dispose](), caller.call({ verb: "DEL", config, pod: "" }))],
    [
      "DEL with a config that can't be read",
      () => caller.call({ verb: "DEL", config: { ...config, vlan: 5000 }, pod }),
    ],
    [
      "GC with a config that has changed",
      () =>
        caller.call({
          verb: "GC",
          config: { ...bridge(), "cni.dev/valid-attachments": [{ containerID: "ctr1", ifname: "net1" }] },
          pod: "",
        }),
    ],
  ])("%s removes the rules", async (_, remove) => {
    await remove(await caller.add({ config, pod }));
    expect(rules()).not.toContain("ctr0");
    expect(port()).toBeUndefined();
  });
});
