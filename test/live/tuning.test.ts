// tuning on a real kernel, behind the plugins that people chain it to: what it sets, what is on file meanwhile, and what DEL puts back.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/json/value.ts";
import { diff } from "../kit/diff.ts";
import { snapshot } from "../kit/snapshot.ts";
import { asPrevious, everything, ipam, mac, macvlan, useTuningSite } from "../kit/tuning-site.ts";

const site = useTuningSite();
const backup = (name = "ctr0_net1.json") =>
  JSON.parse(readFileSync(join(site().folder.path, name), "utf8")) as JsonObject;
const sysctl = (path: string, of = site().pod) => of.run("cat", `/proc/sys/${path}`).trim();

describe("the interface's", () => {
  const anyMac = expect.any(String) as string;
  const untuned = { mac: anyMac, promisc: false, mtu: 1500, allmulti: false, txQLen: 1000 };
  test.each<[string, JsonObject, object, object]>([
    ["MAC", { mac }, { address: mac }, { mac: anyMac }],
    ["MTU", { mtu: 1400 }, { mtu: 1400 }, { mtu: 1500 }],
    [
      "promiscuous mode",
      { promisc: true },
      { flags: expect.arrayContaining(["PROMISC"]) as object },
      { promisc: false },
    ],
    [
      "all-multicast mode",
      { allmulti: true },
      { flags: expect.arrayContaining(["ALLMULTI"]) as object },
      { allmulti: false },
    ],
    ["queue length", { txQLen: 777 }, { txqlen: 777 }, { txQLen: 1000 }],
    ["settings, all of them", everything, { address: mac, mtu: 1400, txqlen: 777 }, untuned],
    ["settings of args.cni", { args: { cni: everything } }, { address: mac, mtu: 1400 }, untuned],
    ["MAC of the runtime", { runtimeConfig: { mac } }, { address: mac }, { mac: anyMac }],
  ])("%s: set, on file, found by CHECK, told, put back", async (_, own, want, was) => {
    const before = await site().caller.add({ config: macvlan, pod: site().pod });
    const state = snapshot(site().pod.path);
    const config = site().tuning(own);
    const prev = asPrevious(before);
    const result = await site().caller.add({ config: { ...config, prevResult: prev }, pod: site().pod });
    expect(site().link()).toMatchObject(want);
    expect(backup()).toMatchObject(was);
    expect(Object.keys(backup())).toHaveLength(Object.keys(was).length + 1);
    expect(result.interfaces[0]).toMatchObject({ mac: site().link()?.["address"], mtu: site().link()?.["mtu"] });
    await site().caller.call({ verb: "CHECK", config, pod: site().pod, prevResult: result });
    await site().caller.call({ verb: "CHECK", config: macvlan, pod: site().pod, prevResult: result });
    await site().caller.call({ verb: "DEL", config, pod: site().pod, prevResult: result });
    await site().caller.call({ verb: "DEL", config, pod: site().pod, prevResult: result });
    expect(diff(state, snapshot(site().pod.path))).toEqual([]);
    expect(site().files()).toEqual([]);
  });

  test("MAC of CNI_ARGS", async () => {
    await site().caller.addChain({ ...site().chain(), args: `IgnoreUnknown=1;MAC=${mac}` });
    expect(site().link()?.["address"]).toBe(mac);
  });

  test("modes are switched off where the config says so, and on again", async () => {
    const before = await site().caller.add({ config: macvlan, pod: site().pod });
    site().pod.ip("link set net1 allmulticast on promisc on");
    const config = site().tuning({ allmulti: false, promisc: false });
    const result = await site().caller.add({ config: { ...config, prevResult: asPrevious(before) }, pod: site().pod });
    expect(site().link()?.["flags"]).not.toContain("ALLMULTI");
    expect(site().link()?.["flags"]).toContain("PROMISC");
    await site().caller.call({ verb: "CHECK", config, pod: site().pod, prevResult: result });
    await site().caller.call({ verb: "DEL", config, pod: site().pod });
    expect(site().link()?.["flags"]).toEqual(expect.arrayContaining(["ALLMULTI", "PROMISC"]));
  });
});

describe("sysctls", () => {
  const wide = "net/ipv4/ip_local_port_range";
  const own = "net/ipv4/conf/net1/arp_filter";
  const both = { sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1", "net.ipv4.ip_local_port_range": "2000 3000" } };

  test("of the interface and of the namespace are set, on file, found by CHECK, and put back", async () => {
    const [range, filter] = [sysctl(wide), "0"];
    const node0 = sysctl(wide, site().node);
    const call = site().chain(both);
    const result = await site().caller.addChain(call);
    expect([sysctl(own), sysctl(wide)]).toEqual(["1", "2000\t3000"]);
    expect(sysctl(wide, site().node)).toBe(node0);
    expect(backup()).toMatchObject({
      polynic: { sysctl: { [own]: { was: filter, set: "1" }, [wide]: { was: range, set: "2000 3000" } } },
    });
    await site().caller.checkChain({ ...call, prevResult: result });
    const [, last] = call.plugins;
    await site().caller.call({ verb: "DEL", config: last!, pod: site().pod });
    expect([sysctl(own), sysctl(wide)]).toEqual([filter, range]);
    expect(site().files()).toEqual([]);
  });

  test("of the namespace are put back when the link is gone already", async () => {
    const range = sysctl(wide);
    const call = site().chain(both);
    const result = await site().caller.addChain(call);
    site().pod.ip("link del net1");
    await site().caller.delChain({ ...call, prevResult: result });
    expect([sysctl(wide), site().files()]).toEqual([range, []]);
  });

  test("of the namespace stay as the pod has changed them since", async () => {
    const call = site().chain(both);
    await site().caller.addChain(call);
    site().pod.run("sh", "-c", `echo 5000 6000 > /proc/sys/${wide}`);
    await site().caller.delChain(call);
    expect(sysctl(wide)).toBe("5000\t6000");
  });

  test("of an interface whose name has dots", async () => {
    const call = { ...site().chain({ sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" } }), ifName: "vlan.100" };
    const result = await site().caller.addChain(call);
    expect(sysctl("net/ipv4/conf/vlan.100/arp_filter")).toBe("1");
    await site().caller.checkChain({ ...call, prevResult: result });
  });

  test("of the namespace that two interfaces set are put back with the last of them", async () => {
    const range = sysctl(wide);
    const one = site().chain({ sysctl: { "net.ipv4.ip_local_port_range": "2000 3000" } });
    const two = { ...site().chain({ sysctl: { "net.ipv4.ip_local_port_range": "4000 5000" } }), ifName: "net2" };
    const first = await site().caller.addChain(one);
    await site().caller.addChain(two);
    expect(sysctl(wide)).toBe("4000\t5000");
    await site().caller.delChain(two);
    expect(sysctl(wide)).toBe("2000\t3000");
    await site().caller.checkChain({ ...one, prevResult: first });
    await site().caller.addChain(two);
    await site().caller.delChain(one);
    expect(sysctl(wide)).toBe("4000\t5000");
    await site().caller.delChain(two);
    expect([sysctl(wide), site().files()]).toEqual([range, []]);
  });

  test("that can only be written are set, and are no matter of CHECK", async () => {
    const call = site().chain({ sysctl: { "net.ipv4.route.flush": "1" } });
    const result = await site().caller.addChain(call);
    await site().caller.checkChain({ ...call, prevResult: result });
    await site().caller.delChain(call);
    expect(site().files()).toEqual([]);
  });

  test("alone need no interface", async () => {
    const prevResult = { cniVersion: "1.1.0", interfaces: [], ips: [] };
    const config = site().tuning({ sysctl: { "net.core.somaxconn": "512" }, prevResult });
    await site().caller.add({ config, pod: site().pod });
    await site().caller.call({ verb: "CHECK", config, pod: site().pod });
    expect(sysctl("net/core/somaxconn")).toBe("512");
    await site().caller.call({ verb: "DEL", config, pod: site().pod });
    expect(sysctl("net/core/somaxconn")).toBe("4096");
  });
});

describe("an earlier backup is never lost to tuned values:", () => {
  test("a second ADD without DEL", async () => {
    const result = await site().caller.add({ config: macvlan, pod: site().pod });
    const untuned = snapshot(site().pod.path);
    for (const mtu of [1400, 1300]) {
      const config = site().tuning({
        mac,
        mtu,
        sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" },
        prevResult: asPrevious(result),
      });
      await site().caller.add({ config, pod: site().pod });
    }
    expect(backup()).toMatchObject({ mtu: 1500, mac: result.interfaces[0]?.mac });
    await site().caller.call({ verb: "DEL", config: site().tuning(), pod: site().pod });
    expect(diff(untuned, snapshot(site().pod.path))).toEqual([]);
  });

  test("two tunings in one chain", async () => {
    const { plugins } = site().chain({ mac, mtu: 1400 });
    const call = { plugins: [...plugins, site().tuning({ mtu: 1300, txQLen: 5 })], pod: site().pod };
    const first = await site().caller.add({ config: macvlan, pod: site().pod });
    const untuned = snapshot(site().pod.path);
    await site().caller.delChain({ plugins: [macvlan], pod: site().pod });
    const result = await site().caller.addChain(call);
    expect(backup()).toMatchObject({ mtu: 1500, txQLen: 1000 });
    await expect(site().caller.checkChain({ ...call, prevResult: result })).rejects.toThrow(
      "configured MTU of net1 is 1400",
    );
    await site().caller.call({ verb: "DEL", config: site().tuning(), pod: site().pod });
    expect(site().link()).toMatchObject({ mtu: 1500, txqlen: 1000 });
    expect([Object.keys(untuned.links), first.interfaces.length]).toEqual([["lo", "net1"], 1]);
  });

  test("an interface made anew in a namespace made anew has its own", async () => {
    const first = await site().caller.add({ config: macvlan, pod: site().pod });
    await site().caller.add({
      config: site().tuning({ mac, mtu: 1400, prevResult: asPrevious(first) }),
      pod: site().pod,
    });
    site().pod.ip("link del net1");
    const second = await site().caller.add({ config: macvlan, pod: site().pod });
    await site().caller.add({ config: site().tuning({ mac, prevResult: asPrevious(second) }), pod: site().pod });
    expect(backup()).toMatchObject({ mac: second.interfaces[0]?.mac });
    expect(backup()["mtu"]).toBeUndefined();
  });
});

describe("both ends of a veth pair", () => {
  const bridge = { type: "bridge", bridge: "br1", ipam };

  test("have the MTU, and get their own back", async () => {
    const plugins = [bridge, site().tuning({ mtu: 1400 })];
    const result = await site().caller.addChain({ plugins, pod: site().pod });
    const port = result.interfaces[1]?.name ?? "";
    const mtus = () => [site().link()?.["mtu"], snapshot(site().node.path).links[port]?.["mtu"]];
    expect(mtus()).toEqual([1400, 1400]);
    expect(backup()).toMatchObject({ mtu: 1500, polynic: { peerMtu: 1500 } });
    await site().caller.checkChain({ plugins, pod: site().pod, prevResult: result });
    await site().caller.call({ verb: "DEL", config: plugins[1]!, pod: site().pod });
    expect(mtus()).toEqual([1500, 1500]);
    await site().caller.delChain({ plugins, pod: site().pod, prevResult: result });
    site().node.ip("link del br1");
  });

  test("are found by what the result says of the node alone", async () => {
    const result = await site().caller.add({ config: bridge, pod: site().pod });
    const port = result.interfaces[1]?.name ?? "";
    const without = { ...result, interfaces: result.interfaces.filter(({ name }) => name !== port) };
    await site().caller.add({ config: site().tuning({ mtu: 1400, prevResult: asPrevious(without) }), pod: site().pod });
    expect([site().link()?.["mtu"], snapshot(site().node.path).links[port]?.["mtu"]]).toEqual([1400, 1500]);
    site().node.ip("link del br1");
  });
});

describe("a whole chain passes CHECK", () => {
  test.each(["0.4.0", "1.0.0", "1.1.0"])("by version %s, behind macvlan and bridge, with sbr", async (cniVersion) => {
    const tuned = site().tuning({ ...everything, sysctl: { "net.ipv4.conf.IFNAME.rp_filter": "2" } });
    for (const first of [
      { ...macvlan, mtu: 1500 },
      { type: "bridge", bridge: "br1", mtu: 1500, isGateway: true, ipam },
    ]) {
      for (const plugins of [
        [first, tuned],
        [first, tuned, { type: "sbr" }],
        [first, { type: "sbr" }, tuned],
      ]) {
        const call = { plugins, pod: site().pod, cniVersion };
        const before = snapshot(site().pod.path);
        const result = await site().caller.addChain(call);
        await site().caller.checkChain({ ...call, prevResult: result });
        await site().caller.delChain({ ...call, prevResult: result });
        expect(diff(before.links, snapshot(site().pod.path).links)).toEqual([]);
      }
    }
    site().node.ip("link del br1");
    expect(site().files()).toEqual([]);
  });
});

test("an MTU without room for IPv6 is told", async () => {
  await site().caller.addChain(site().chain({ mtu: 1000 }));
  expect(
    site()
      .caller.log.map(({ message }) => message)
      .join(),
  ).toContain("net1 has lost its IPv6 addresses");
});

test("the folder for backups is made where it is missing", async () => {
  const dataDir = join(site().folder.path, "a", "b");
  await site().caller.addChain(site().chain({ mtu: 1400, dataDir }));
  expect(readdirSync(dataDir)).toEqual(["ctr0_net1.json"]);
});
