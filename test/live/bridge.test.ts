// bridge on a real kernel, called as the dispatcher calls it: what it makes of the node and of the pod, and what gets through.
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/json/value.ts";
import type { LogEntry } from "../../src/log/logger.ts";
import { loggerTo } from "../../src/log/logger.ts";
import { Netns } from "../../src/netns/netns.ts";
import { awaitPort } from "../../src/plugins/bridge/port.ts";
import { requireLink } from "../../src/rtnl/link.ts";
import { bridge, dual, fixed, useBridgeSite } from "../kit/bridge-site.ts";
import type { BuiltinCaller } from "../kit/builtin-caller.ts";
import { ping } from "../kit/ping.ts";
import { snapshot } from "../kit/snapshot.ts";

const site = useBridgeSite();

describe("the bridge", () => {
  test("is made with a MAC of its own, which stays as pods come and go", async () => {
    const result = await site().caller.add({ config: bridge(), pod: site().pod });
    const mac = site().link("cni0")?.["address"];
    expect(result.interfaces[0]).toEqual({ name: "cni0", mac });
    expect(site().link("cni0")).toMatchObject({ mtu: 1500, linkinfo: { kind: "bridge", data: { stp_state: 0 } } });
    expect(site().link("cni0")?.["flags"]).toContain("UP");
    expect(site().sysctl(site().node, "ipv6/conf/cni0/accept_ra")).toBe("0");
    for (let count = 0; count < 4; count++) await site().caller.add({ config: bridge(), pod: site().node.pod() });
    expect(site().link("cni0")?.["address"]).toBe(mac);
    await site().caller.call({ verb: "DEL", config: bridge(), pod: site().pod });
    expect(site().link("cni0")?.["address"]).toBe(mac);
  });

  test("keeps the MTU that it was made with when the last pod leaves", async () => {
    const config = bridge({ mtu: 1400 });
    await site().caller.add({ config, pod: site().pod });
    expect([site().link("cni0")?.["mtu"], site().port()?.[1]["mtu"], site().link("net1", site().pod)?.["mtu"]]).toEqual(
      [1400, 1400, 1400],
    );
    await site().caller.call({ verb: "DEL", config, pod: site().pod });
    expect(site().link("cni0")?.["mtu"]).toBe(1400);
  });

  test("is raised to a larger MTU, and never lowered", async () => {
    await site().caller.add({ config: bridge({ mtu: 1400 }), pod: site().pod });
    await site().caller.add({ config: bridge({ mtu: 9000 }), pod: site().pod, ifName: "net2" });
    expect(site().link("cni0")?.["mtu"]).toBe(9000);
    await site().caller.add({ config: bridge({ mtu: 1400 }), pod: site().pod, ifName: "net3" });
    expect(site().link("cni0")?.["mtu"]).toBe(9000);
  });

  test("of somebody else is used as it is", async () => {
    site().node.ip(
      "link add br0 address 02:00:00:00:00:10 type bridge stp_state 1 forward_delay 200",
      "addr add 192.0.2.1/24 dev br0",
    );
    const result = await site().caller.add({ config: bridge({ bridge: "br0" }), pod: site().pod });
    expect(result.interfaces[0]).toEqual({ name: "br0", mac: "02:00:00:00:00:10" });
    expect(site().link("br0")).toMatchObject({ linkinfo: { data: { stp_state: 1, forward_delay: 200 } } });
    expect(site().addresses(site().node, "br0")).toEqual(["192.0.2.1/24"]);
  });

  test("is promiscuous once it was asked to be", async () => {
    await site().caller.add({ config: bridge(), pod: site().pod });
    expect(site().link("cni0")?.["flags"]).not.toContain("PROMISC");
    await site().caller.add({ config: bridge({ promiscMode: true }), pod: site().pod, ifName: "net2" });
    await site().caller.add({ config: bridge(), pod: site().pod, ifName: "net3" });
    expect(site().link("cni0")?.["flags"]).toContain("PROMISC");
  });

  test("is refused when the name is another device's", async () => {
    site().node.ip("link add cni0 type veth peer name other");
    await expect(site().caller.add({ config: bridge(), pod: site().pod })).rejects.toMatchObject({
      code: 999,
      message:
        'failed to create bridge "cni0": "cni0" already exists but is not a bridge: it is of kind veth; name another in "bridge"',
    });
    await expect(site().caller.call({ verb: "STATUS", config: bridge(), pod: "" })).rejects.toMatchObject({ code: 50 });
  });

  test("filters no VLANs on this kernel, which ADD says, and leaves nothing of the pod", async () => {
    const before = snapshot(site().pod.path);
    const cause = "operation not supported; this kernel's bridge can't filter VLANs (CONFIG_BRIDGE_VLAN_FILTERING)";
    await expect(site().caller.add({ config: bridge({ vlan: 100 }), pod: site().pod })).rejects.toThrow(
      `failed to create bridge "cni0": ${cause}`,
    );
    expect(site().link("cni0")).toBeUndefined();
    site().node.ip("link add cni0 type bridge");
    const message = expect.stringMatching(/^failed to setup vlan tag on interface "veth[0-9a-f]{8}": /) as string;
    const refused = { message, code: 999 };
    await expect(site().caller.add({ config: bridge({ vlan: 100 }), pod: site().pod })).rejects.toMatchObject(refused);
    await expect(site().caller.add({ config: bridge({ vlan: 100 }), pod: site().pod })).rejects.toThrow(cause);
    expect([snapshot(site().pod.path), site().port()]).toEqual([before, undefined]);
    expect(site().messages().join()).toContain("bridge cni0 does not filter VLANs");
  });
});

describe("the pair", () => {
  test("is a port on the node and an interface in the pod, as the result says", async () => {
    const result = await site().caller.add({ config: bridge(), pod: site().pod });
    const [name = "", found] = site().port() ?? [];
    expect(result).toEqual({
      interfaces: [
        { name: "cni0", mac: site().link("cni0")?.["address"] },
        { name, mac: found?.["address"] },
        { name: "net1", mac: site().link("net1", site().pod)?.["address"], sandbox: site().pod.path },
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
    expect(site().link("net1", site().pod)).toMatchObject({ txqlen: 1000, linkinfo: { kind: "veth" } });
    expect(site().link("net1", site().pod)?.["flags"]).toContain("UP");
    expect(site().sysctl(site().node, `ipv6/conf/${name}/accept_ra`)).toBe("0");
    expect(site().messages()).toEqual([]);
  });

  test("has the MAC that was asked for", async () => {
    const config = bridge({ runtimeConfig: { mac: "02-00-00-00-00-0A" } });
    const result = await site().caller.add({ config, pod: site().pod });
    expect([site().link("net1", site().pod)?.["address"], result.interfaces[2]?.mac]).toEqual([
      "02:00:00:00:00:0a",
      "02:00:00:00:00:0a",
    ]);
    await site().caller.call({ verb: "CHECK", config, pod: site().pod, prevResult: result });
  });

  test("has hairpin mode and isolation as asked for", async () => {
    await site().caller.add({ config: bridge({ hairpinMode: true, portIsolation: true }), pod: site().pod });
    expect(site().port()?.[1]).toMatchObject({ linkinfo: { port: { hairpin: true, isolated: true } } });
  });

  test("may be left down in the pod, without waiting", async () => {
    await site().caller.add({ config: bridge({ disableContainerInterface: true }), pod: site().pod });
    expect(site().link("net1", site().pod)?.["flags"]).not.toContain("UP");
    expect(site().port()?.[1]["flags"]).toContain("UP");
    expect(site().messages()).toEqual([]);
  });

  test("can be there twice for one network", async () => {
    const second = fixed(["10.1.2.6/24"]);
    const first = await site().caller.add({ config: bridge(fixed(["10.1.2.5/24"])), pod: site().pod });
    await site().caller.add({ config: bridge(second), pod: site().pod, ifName: "net2" });
    await site().caller.call({ verb: "DEL", config: bridge(second), pod: site().pod, ifName: "net2" });
    await site().caller.call({
      verb: "CHECK",
      config: bridge(fixed(["10.1.2.5/24"])),
      pod: site().pod,
      prevResult: first,
    });
  });

  test("gets another name on the node where somebody has the first one", async () => {
    const [, first] = (await site().caller.add({ config: bridge(), pod: site().pod })).interfaces;
    await site().caller.call({ verb: "DEL", config: bridge(), pod: site().pod });
    site().node.ip(`link add ${first?.name} type bridge`);
    const [, second] = (await site().caller.add({ config: bridge(), pod: site().pod })).interfaces;
    expect(second?.name).not.toBe(first?.name);
    site().pod[Symbol.dispose]();
    await site().caller.call({ verb: "DEL", config: bridge(), pod: "" });
    expect(Object.keys(snapshot(site().node.path).links).filter((name) => name.startsWith("veth"))).toEqual([
      first?.name,
    ]);
  });

  test("whose port is late is logged, and not refused", () => {
    site().node.ip(
      "link add br0 type bridge",
      "link set br0 up",
      "link add p0 type veth peer name p1",
      "link set p0 master br0 up",
    );
    const log: LogEntry[] = [];
    using host = Netns.open(site().node.path);
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

describe("on the wire", () => {
  const at = (host: number, own: JsonObject = {}) =>
    bridge({ isGateway: true, ...fixed([`10.1.2.${host}/24`, `fd00:1::${host}/64`]), ...own });

  test("pods reach each other and the node in both families, right after ADD", async () => {
    const other = site().node.pod();
    await site().caller.add({ config: at(5), pod: site().pod });
    await site().caller.add({ config: at(6), pod: other });
    for (const address of ["10.1.2.6", "fd00:1::6", "10.1.2.1", "fd00:1::1"]) ping(site().pod.path, address);
    ping(site().node.path, "10.1.2.5");
  });

  test("isolated pods reach the node and not each other", async () => {
    const other = site().node.pod();
    await site().caller.add({ config: at(5, { portIsolation: true }), pod: site().pod });
    await site().caller.add({ config: at(6, { portIsolation: true }), pod: other });
    ping(site().pod.path, "10.1.2.1");
    expect(() => ping(site().pod.path, "10.1.2.6", { timeoutMs: 600 })).toThrow("does not answer");
  });

  test("the bridge's neighbours learn at once that an address has moved to another pod", async () => {
    await site().caller.add({ config: at(6), pod: site().node.pod() });
    site().node.ip("neigh replace 10.1.2.5 lladdr 02:00:00:00:00:99 dev cni0 nud stale");
    const result = await site().caller.add({ config: at(5), pod: site().pod });
    const known = () => /lladdr (\S+)/.exec(site().node.run("ip", "neigh", "show", "10.1.2.5"))?.[1];
    await expect.poll(known, { timeout: 60_000 }).toBe(result.interfaces[2]?.mac);
  });
});

describe("detection of duplicate IPv6 addresses", () => {
  test("is off, so that addresses are usable at once", async () => {
    await site().caller.add({ config: bridge({ hairpinMode: true, isGateway: true, ...dual }), pod: site().pod });
    expect(site().sysctl(site().pod, "ipv6/conf/net1/accept_dad")).toBe("0");
    expect(site().pod.run("ip", "-6", "addr", "show", "tentative")).toBe("");
    expect(site().node.run("ip", "-6", "addr", "show", "dev", "cni0", "tentative", "scope", "global")).toBe("");
  });

  test("is done, and waited for, when asked for", async () => {
    await site().caller.add({ config: bridge({ enabledad: true, ...dual }), pod: site().pod });
    expect([
      site().sysctl(site().pod, "ipv6/conf/net1/accept_dad"),
      site().sysctl(site().pod, "ipv6/conf/net1/enhanced_dad"),
    ]).toEqual(["1", "1"]);
    expect(site().pod.run("ip", "-6", "addr", "show", "scope", "global", "tentative")).toBe("");
    expect(site().pod.run("ip", "-6", "addr", "show", "scope", "global")).not.toContain("nodad");
  });

  test("finds the pod that has the address, and ADD leaves nothing", async () => {
    await site().caller.add({ config: bridge(dual), pod: site().node.pod() });
    const before = [snapshot(site().node.path), snapshot(site().pod.path)];
    await expect(site().caller.add({ config: bridge({ enabledad: true, ...dual }), pod: site().pod })).rejects.toThrow(
      "link net1 has address fd00:1::5/64 in DADFAILED state",
    );
    expect([snapshot(site().node.path), snapshot(site().pod.path)]).toEqual(before);
  });
});

describe("DNS settings", () => {
  test("are the IPAM plugin's unless the config has its own", async () => {
    const ipam = fixed(["10.1.2.5/24"], { dns: { nameservers: ["192.0.2.53"] } });
    expect((await site().caller.add({ config: bridge(ipam), pod: site().pod })).dns).toEqual({
      nameservers: ["192.0.2.53"],
    });
    const own = { ...ipam, dns: { search: [] } };
    expect((await site().caller.add({ config: bridge(own), pod: site().pod, ifName: "net2" })).dns).toEqual({
      search: [],
    });
  });
});

describe.each(["iptables", "nftables"])("with %s", (ipMasqBackend) => {
  const config = bridge({ ipMasq: true, ipMasqBackend, macspoofchk: true, isGateway: true, ...dual });
  const rules = () => {
    const { nft, iptables } = snapshot(site().node.path);
    return JSON.stringify([nft, iptables]);
  };

  test("ADD makes the rules, CHECK looks for them, DEL removes them", async () => {
    const result = await site().caller.add({ config, pod: site().pod });
    const mac = result.interfaces[2]?.mac ?? "";
    expect(rules()).toContain("ctr0");
    expect(rules().toLowerCase()).toContain("masquerade");
    expect(rules()).toContain(mac);
    await site().caller.call({ verb: "CHECK", config, pod: site().pod, prevResult: result });
    site().node.run("nft", "flush", "ruleset");
    await expect(
      site().caller.call({ verb: "CHECK", config, pod: site().pod, prevResult: result }),
    ).rejects.toMatchObject({ code: 999 });
  });

  test.each<[string, (result: Awaited<ReturnType<BuiltinCaller["add"]>>) => Promise<unknown>]>([
    ["DEL", (prevResult) => site().caller.call({ verb: "DEL", config, pod: site().pod, prevResult })],
    ["DEL without result", () => site().caller.call({ verb: "DEL", config, pod: site().pod })],
    [
      "DEL without namespace and result",
      () => (site().pod[Symbol.dispose](), site().caller.call({ verb: "DEL", config, pod: "" })),
    ],
    [
      "DEL with a config that can't be read",
      () => site().caller.call({ verb: "DEL", config: { ...config, vlan: 5000 }, pod: site().pod }),
    ],
    [
      "GC with a config that has changed",
      () =>
        site().caller.call({
          verb: "GC",
          config: { ...bridge(), "cni.dev/valid-attachments": [{ containerID: "ctr1", ifname: "net1" }] },
          pod: "",
        }),
    ],
  ])("%s removes the rules", async (_, remove) => {
    await remove(await site().caller.add({ config, pod: site().pod }));
    expect(rules()).not.toContain("ctr0");
    expect(site().port()).toBeUndefined();
  });
});
