// bridge as the gateway of its pods: the addresses that it gets, and the default routes that lead there.
import { describe, expect, test } from "vitest";
import { formatIp } from "../../src/ip/address.ts";
import { formatPrefix } from "../../src/ip/prefix.ts";
import type { JsonObject } from "../../src/json/value.ts";
import { bridge, dual, fixed, useBridgeSite } from "../kit/bridge-site.ts";
import { ping } from "../kit/ping.ts";

const site = useBridgeSite();

describe("the gateway", () => {
  test("has the first address of each network, and the node forwards", async () => {
    const result = await site().caller.add({ config: bridge({ isGateway: true, ...dual }), pod: site().pod });
    expect(site().addresses(site().node, "cni0")).toEqual(["10.1.2.1/24", "fd00:1::1/64"]);
    expect([
      site().sysctl(site().node, "ipv4/ip_forward"),
      site().sysctl(site().node, "ipv6/conf/all/forwarding"),
    ]).toEqual(["1", "1"]);
    expect(site().routes()).toEqual([
      "10.1.2.0/24 dev net1 proto kernel scope link src 10.1.2.5",
      "fd00:1::/64 dev net1 proto kernel metric 256 pref medium",
    ]);
    await site().caller.call({
      verb: "CHECK",
      config: bridge({ isGateway: true, ...dual }),
      pod: site().pod,
      prevResult: result,
    });
    ping(site().pod.path, "10.1.2.1");
    ping(site().pod.path, "fd00:1::1");
  });

  test("is not there, and the node does not forward, unless asked for", async () => {
    await site().caller.add({ config: bridge(dual), pod: site().pod });
    expect(site().addresses(site().node, "cni0")).toEqual([]);
    expect([
      site().sysctl(site().node, "ipv4/ip_forward"),
      site().sysctl(site().node, "ipv6/conf/all/forwarding"),
    ]).toEqual(["0", "0"]);
  });

  test("forwards only the families that it has", async () => {
    await site().caller.add({ config: bridge({ isGateway: true, ...fixed(["10.1.2.5/24"]) }), pod: site().pod });
    expect([
      site().sysctl(site().node, "ipv4/ip_forward"),
      site().sysctl(site().node, "ipv6/conf/all/forwarding"),
    ]).toEqual(["1", "0"]);
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
    const result = await site().caller.add({ config, pod: site().pod });
    expect(result.routes.map(({ dst, gw }) => `${formatPrefix(dst)} ${gw === undefined ? "" : formatIp(gw)}`)).toEqual(
      told,
    );
    expect(
      site()
        .routes()
        .filter((line) => line.startsWith("default")),
    ).toEqual(want);
    await site().caller.call({ verb: "CHECK", config, pod: site().pod, prevResult: result });
  });

  test("has all addresses of a pod with several networks, also for the next pod", async () => {
    const config = (host: number) =>
      bridge({
        isGateway: true,
        ...fixed([`10.1.2.${host}/24`, `10.1.3.${host}/24`, `fd00:1::${host}/64`, `fd00:2::${host}/64`]),
      });
    await site().caller.add({ config: config(5), pod: site().pod });
    await site().caller.add({ config: config(6), pod: site().node.pod() });
    expect(site().addresses(site().node, "cni0")).toEqual([
      "10.1.2.1/24",
      "10.1.3.1/24",
      "fd00:2::1/64",
      "fd00:1::1/64",
    ]);
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
      site().node.ip(
        "link add cni0 type bridge",
        `addr add ${present} dev cni0 ${present.includes(":") ? "nodad" : ""}`,
      );
      await expect(site().caller.add({ config: config(ipam), pod: site().pod })).rejects.toMatchObject({
        code: 999,
        message: `failed to set bridge addr: "cni0" already has an IP address different from ${wanted}: it has ${present}; name another bridge, or let "forceAddress" replace it`,
      });
      expect([site().link("net1", site().pod), site().port()]).toEqual([undefined, undefined]);
      expect(site().addresses(site().node, "cni0")).toEqual([present]);
      await site().caller.add({ config: config({ ...ipam, forceAddress: true }), pod: site().pod });
      expect(site().addresses(site().node, "cni0")).toEqual([wanted]);
    });

    test("of another IPv6 network is fine", async () => {
      site().node.ip("link add cni0 type bridge", "addr add fd00:9::9/64 dev cni0 nodad");
      await site().caller.add({ config: config(six), pod: site().pod });
      expect(site().addresses(site().node, "cni0").sort()).toEqual(["fd00:1::1/64", "fd00:9::9/64"]);
    });

    test("that is its own is fine, whoever put it there", async () => {
      site().node.ip("link add cni0 type bridge", "addr add 10.1.2.1/24 dev cni0");
      await site().caller.add({ config: config(), pod: site().pod });
      expect(site().addresses(site().node, "cni0")).toEqual(["10.1.2.1/24"]);
    });
  });

  test("holds fast the MAC that pods will remember, on a bridge that had none", async () => {
    site().node.ip(
      "link add cni0 type bridge",
      "link set cni0 up",
      "link add p0 type veth peer name p1",
      "link set p0 master cni0",
      "link del p0",
    );
    expect(site().link("cni0")?.["address"]).toBe("00:00:00:00:00:00");
    const result = await site().caller.add({ config: bridge({ isGateway: true, ...dual }), pod: site().pod });
    const mac = site().link("cni0")?.["address"];
    expect([result.interfaces[0]?.mac, mac === "00:00:00:00:00:00"]).toEqual([mac, false]);
    await site().caller.call({ verb: "DEL", config: bridge(dual), pod: site().pod });
    expect(site().link("cni0")?.["address"]).toBe(mac);
  });
});
