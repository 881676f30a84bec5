// tuning on a real kernel, behind the plugins that people chain it to: what it sets, what is on file meanwhile, and what DEL puts back.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { encodeResult } from "../../src/cni/result-encode.ts";
import type { Result } from "../../src/cni/result.ts";
import type { JsonObject } from "../../src/json/value.ts";
import { BuiltinCaller, type ChainCall } from "../kit/builtin-caller.ts";
import { diff } from "../kit/diff.ts";
import { Lan, type PinnedNetns } from "../kit/node-netns.ts";
import { snapshot } from "../kit/snapshot.ts";
import { type TemporaryFolder, temporaryFolder } from "../kit/tmp.ts";

/** Of each test its own: a MAC is in use until the kernel is through with taking an earlier pod away. */
let lan: Lan;
const node = () => lan.node();

let caller: BuiltinCaller;
let pod: PinnedNetns;
let folder: TemporaryFolder;

beforeEach(() => {
  lan = new Lan();
  caller = new BuiltinCaller(node());
  pod = node().pod();
  folder = temporaryFolder();
});
afterEach(() => {
  caller[Symbol.dispose]();
  lan[Symbol.dispose]();
  folder[Symbol.dispose]();
});

const mac = "02:00:00:00:00:0a";
const ipam = {
  type: "static",
  addresses: [{ address: "192.0.2.5/24", gateway: "192.0.2.1" }, { address: "2001:db8::5/64" }],
};
const macvlan = { type: "macvlan", master: "eth0", ipam: { ...ipam, routes: [{ dst: "0.0.0.0/0" }] } };
const everything = { mac, mtu: 1400, promisc: true, allmulti: true, txQLen: 777 };

const tuning = (own: JsonObject = {}) => ({ type: "tuning", dataDir: folder.path, ...own });
const chain = (own: JsonObject = {}): ChainCall => ({ plugins: [macvlan, tuning(own)], pod });

const link = (name = "net1") => snapshot(pod.path).links[name];
const files = () => readdirSync(folder.path).sort();
const backup = (name = "ctr0_net1.json") => JSON.parse(readFileSync(join(folder.path, name), "utf8")) as JsonObject;
const sysctl = (path: string, of = pod) => of.run("cat", `/proc/sys/${path}`).trim();

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
    const before = await caller.add({ config: macvlan, pod });
    const state = snapshot(pod.path);
    const config = tuning(own);
    const prev = encoded(before);
    const result = await caller.add({ config: { ...config, prevResult: prev }, pod });
    expect(link()).toMatchObject(want);
    expect(backup()).toMatchObject(was);
    expect(Object.keys(backup())).toHaveLength(Object.keys(was).length + 1);
    expect(result.interfaces[0]).toMatchObject({ mac: link()?.["address"], mtu: link()?.["mtu"] });
    await caller.call({ verb: "CHECK", config, pod, prevResult: result });
    await caller.call({ verb: "CHECK", config: macvlan, pod, prevResult: result });
    await caller.call({ verb: "DEL", config, pod, prevResult: result });
    await caller.call({ verb: "DEL", config, pod, prevResult: result });
    expect(diff(state, snapshot(pod.path))).toEqual([]);
    expect(files()).toEqual([]);
  });

  test("MAC of CNI_ARGS", async () => {
    await caller.addChain({ ...chain(), args: `IgnoreUnknown=1;MAC=${mac}` });
    expect(link()?.["address"]).toBe(mac);
  });

  test("modes are switched off where the config says so, and on again", async () => {
    const before = await caller.add({ config: macvlan, pod });
    pod.ip("link set net1 allmulticast on promisc on");
    const config = tuning({ allmulti: false, promisc: false });
    const result = await caller.add({ config: { ...config, prevResult: encoded(before) }, pod });
    expect(link()?.["flags"]).not.toContain("ALLMULTI");
    expect(link()?.["flags"]).toContain("PROMISC");
    await caller.call({ verb: "CHECK", config, pod, prevResult: result });
    await caller.call({ verb: "DEL", config, pod });
    expect(link()?.["flags"]).toEqual(expect.arrayContaining(["ALLMULTI", "PROMISC"]));
  });
});

function encoded(result: Result): JsonObject {
  return encodeResult(result, "1.1.0");
}

describe("sysctls", () => {
  const wide = "net/ipv4/ip_local_port_range";
  const own = "net/ipv4/conf/net1/arp_filter";
  const both = { sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1", "net.ipv4.ip_local_port_range": "2000 3000" } };

  test("of the interface and of the namespace are set, on file, found by CHECK, and put back", async () => {
    const [range, filter] = [sysctl(wide), "0"];
    const node0 = sysctl(wide, node());
    const call = chain(both);
    const result = await caller.addChain(call);
    expect([sysctl(own), sysctl(wide)]).toEqual(["1", "2000\t3000"]);
    expect(sysctl(wide, node())).toBe(node0);
    expect(backup()).toMatchObject({
      polynic: { sysctl: { [own]: { was: filter, set: "1" }, [wide]: { was: range, set: "2000 3000" } } },
    });
    await caller.checkChain({ ...call, prevResult: result });
    const [, last] = call.plugins;
    await caller.call({ verb: "DEL", config: last!, pod });
    expect([sysctl(own), sysctl(wide)]).toEqual([filter, range]);
    expect(files()).toEqual([]);
  });

  test("of the namespace are put back when the link is gone already", async () => {
    const range = sysctl(wide);
    const call = chain(both);
    const result = await caller.addChain(call);
    pod.ip("link del net1");
    await caller.delChain({ ...call, prevResult: result });
    expect([sysctl(wide), files()]).toEqual([range, []]);
  });

  test("of the namespace stay as the pod has changed them since", async () => {
    const call = chain(both);
    await caller.addChain(call);
    pod.run("sh", "-c", `echo 5000 6000 > /proc/sys/${wide}`);
    await caller.delChain(call);
    expect(sysctl(wide)).toBe("5000\t6000");
  });

  test("of an interface whose name has dots", async () => {
    const call = { ...chain({ sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" } }), ifName: "vlan.100" };
    const result = await caller.addChain(call);
    expect(sysctl("net/ipv4/conf/vlan.100/arp_filter")).toBe("1");
    await caller.checkChain({ ...call, prevResult: result });
  });

  test("of the namespace that two interfaces set are put back with the last of them", async () => {
    const range = sysctl(wide);
    const one = chain({ sysctl: { "net.ipv4.ip_local_port_range": "2000 3000" } });
    const two = { ...chain({ sysctl: { "net.ipv4.ip_local_port_range": "4000 5000" } }), ifName: "net2" };
    const first = await caller.addChain(one);
    await caller.addChain(two);
    expect(sysctl(wide)).toBe("4000\t5000");
    await caller.delChain(two);
    expect(sysctl(wide)).toBe("2000\t3000");
    await caller.checkChain({ ...one, prevResult: first });
    await caller.addChain(two);
    await caller.delChain(one);
    expect(sysctl(wide)).toBe("4000\t5000");
    await caller.delChain(two);
    expect([sysctl(wide), files()]).toEqual([range, []]);
  });

  test("that can only be written are set, and are no matter of CHECK", async () => {
    const call = chain({ sysctl: { "net.ipv4.route.flush": "1" } });
    const result = await caller.addChain(call);
    await caller.checkChain({ ...call, prevResult: result });
    await caller.delChain(call);
    expect(files()).toEqual([]);
  });

  test("alone need no interface", async () => {
    const prevResult = { cniVersion: "1.1.0", interfaces: [], ips: [] };
    const config = tuning({ sysctl: { "net.core.somaxconn": "512" }, prevResult });
    await caller.add({ config, pod });
    await caller.call({ verb: "CHECK", config, pod });
    expect(sysctl("net/core/somaxconn")).toBe("512");
    await caller.call({ verb: "DEL", config, pod });
    expect(sysctl("net/core/somaxconn")).toBe("4096");
  });
});

describe("an earlier backup is never lost to tuned values:", () => {
  test("a second ADD without DEL", async () => {
    const result = await caller.add({ config: macvlan, pod });
    const untuned = snapshot(pod.path);
    for (const mtu of [1400, 1300]) {
      const config = tuning({
        mac,
        mtu,
        sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" },
        prevResult: encoded(result),
      });
      await caller.add({ config, pod });
    }
    expect(backup()).toMatchObject({ mtu: 1500, mac: result.interfaces[0]?.mac });
    await caller.call({ verb: "DEL", config: tuning(), pod });
    expect(diff(untuned, snapshot(pod.path))).toEqual([]);
  });

  test("two tunings in one chain", async () => {
    const { plugins } = chain({ mac, mtu: 1400 });
    const call = { plugins: [...plugins, tuning({ mtu: 1300, txQLen: 5 })], pod };
    const first = await caller.add({ config: macvlan, pod });
    const untuned = snapshot(pod.path);
    await caller.delChain({ plugins: [macvlan], pod });
    const result = await caller.addChain(call);
    expect(backup()).toMatchObject({ mtu: 1500, txQLen: 1000 });
    await expect(caller.checkChain({ ...call, prevResult: result })).rejects.toThrow("configured MTU of net1 is 1400");
    await caller.call({ verb: "DEL", config: tuning(), pod });
    expect(link()).toMatchObject({ mtu: 1500, txqlen: 1000 });
    expect([Object.keys(untuned.links), first.interfaces.length]).toEqual([["lo", "net1"], 1]);
  });

  test("an interface made anew in a namespace made anew has its own", async () => {
    const first = await caller.add({ config: macvlan, pod });
    await caller.add({ config: tuning({ mac, mtu: 1400, prevResult: encoded(first) }), pod });
    pod.ip("link del net1");
    const second = await caller.add({ config: macvlan, pod });
    await caller.add({ config: tuning({ mac, prevResult: encoded(second) }), pod });
    expect(backup()).toMatchObject({ mac: second.interfaces[0]?.mac });
    expect(backup()["mtu"]).toBeUndefined();
  });
});

describe("both ends of a veth pair", () => {
  const bridge = { type: "bridge", bridge: "br1", ipam };

  test("have the MTU, and get their own back", async () => {
    const plugins = [bridge, tuning({ mtu: 1400 })];
    const result = await caller.addChain({ plugins, pod });
    const port = result.interfaces[1]?.name ?? "";
    const mtus = () => [link()?.["mtu"], snapshot(node().path).links[port]?.["mtu"]];
    expect(mtus()).toEqual([1400, 1400]);
    expect(backup()).toMatchObject({ mtu: 1500, polynic: { peerMtu: 1500 } });
    await caller.checkChain({ plugins, pod, prevResult: result });
    await caller.call({ verb: "DEL", config: plugins[1]!, pod });
    expect(mtus()).toEqual([1500, 1500]);
    await caller.delChain({ plugins, pod, prevResult: result });
    node().ip("link del br1");
  });

  test("are found by what the result says of the node alone", async () => {
    const result = await caller.add({ config: bridge, pod });
    const port = result.interfaces[1]?.name ?? "";
    const without = { ...result, interfaces: result.interfaces.filter(({ name }) => name !== port) };
    await caller.add({ config: tuning({ mtu: 1400, prevResult: encoded(without) }), pod });
    expect([link()?.["mtu"], snapshot(node().path).links[port]?.["mtu"]]).toEqual([1400, 1500]);
    node().ip("link del br1");
  });
});

describe("a whole chain passes CHECK", () => {
  test.each(["0.4.0", "1.0.0", "1.1.0"])("by version %s, behind macvlan and bridge, with sbr", async (cniVersion) => {
    const tuned = tuning({ ...everything, sysctl: { "net.ipv4.conf.IFNAME.rp_filter": "2" } });
    for (const first of [
      { ...macvlan, mtu: 1500 },
      { type: "bridge", bridge: "br1", mtu: 1500, isGateway: true, ipam },
    ]) {
      for (const plugins of [
        [first, tuned],
        [first, tuned, { type: "sbr" }],
        [first, { type: "sbr" }, tuned],
      ]) {
        const call = { plugins, pod, cniVersion };
        const before = snapshot(pod.path);
        const result = await caller.addChain(call);
        await caller.checkChain({ ...call, prevResult: result });
        await caller.delChain({ ...call, prevResult: result });
        expect(diff(before.links, snapshot(pod.path).links)).toEqual([]);
      }
    }
    node().ip("link del br1");
    expect(files()).toEqual([]);
  });
});

test("an MTU without room for IPv6 is told", async () => {
  await caller.addChain(chain({ mtu: 1000 }));
  expect(caller.log.map(({ message }) => message).join()).toContain("net1 has lost its IPv6 addresses");
});

test("the folder for backups is made where it is missing", async () => {
  const dataDir = join(folder.path, "a", "b");
  await caller.addChain(chain({ mtu: 1400, dataDir }));
  expect(readdirSync(dataDir)).toEqual(["ctr0_net1.json"]);
});
