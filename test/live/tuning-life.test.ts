// What becomes of tuning: ADD that fails, CHECK after somebody was at it, DEL in all circumstances, GC, STATUS.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CniError } from "../../src/cni/error.ts";
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

function encoded(result: Result): JsonObject {
  return encodeResult(result, "1.1.0");
}

describe("an ADD that fails puts all back:", () => {
  async function refused(own: JsonObject, message: string, code = 999): Promise<CniError> {
    const first = await caller.add({ config: macvlan, pod });
    const before = [snapshot(pod.path), files()];
    const config = tuning({ ...own, prevResult: encoded(first) });
    const error: unknown = await caller.add({ config, pod }).catch((reason: unknown) => reason);
    expect(diff(before, [snapshot(pod.path), files()])).toEqual([]);
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) as string });
    return error as CniError;
  }
  const arpFilter = { "net.ipv4.conf.IFNAME.arp_filter": "1", "net.core.somaxconn": "9" };

  test("an MTU that the kernel refuses", async () => {
    await refused(
      { ...everything, mtu: 9000, sysctl: arpFilter },
      'failed to set the MTU 9000 of "net1": invalid argument; it takes 68 to 65535, and not more than the device it stands on has',
    );
  });
  test("a sysctl that is not there", async () => {
    await refused(
      { sysctl: { ...arpFilter, "net.ipv4.nope": "1" } },
      "open /proc/sys/net/ipv4/nope: no such file or directory; the pod has no sysctl net/ipv4/nope",
    );
  });
  test("a value that the kernel refuses", async () => {
    await refused(
      { sysctl: { ...arpFilter, "net.ipv4.conf.IFNAME.forwarding": "x" } },
      'write /proc/sys/net/ipv4/conf/net1/forwarding: invalid argument; "x" is no value for',
    );
  });
  test("a sysctl that is not the pod's", async () => {
    await refused({ sysctl: { "kernel.hostname": "x" } }, 'invalid net sysctl key: "kernel/hostname"', 7);
  });
  test("the MAC of another macvlan", async () => {
    await caller.add({ config: { type: "macvlan", master: "eth0", mac }, pod, ifName: "net9" });
    await refused({ ...everything }, `failed to set the MAC ${mac} of "net1": address already in use`);
  });
  test("a list of sysctls is required and is not there", async () => {
    await refused(
      { sysctl: arpFilter, requireAllowlist: true },
      "Sysctl net.ipv4.conf.IFNAME.arp_filter is not allowed. Only the following sysctls are allowed: []",
      7,
    );
  });
  test("a folder that can't be made", async () => {
    const path = folder.write("file", "");
    await refused({ mtu: 1400, dataDir: join(path, "x") }, `dataDir ${path}/x can't be used`, 5);
  });
  test("no interface", async () => {
    await expect(
      caller.add({ config: tuning({ mtu: 1400, prevResult: { cniVersion: "1.1.0" } }), pod }),
    ).rejects.toThrow(`failed to get "net1": Link not found in pod ${pod.path}`);
    expect(files()).toEqual([]);
  });
  test("no previous result", async () => {
    await expect(caller.add({ config: tuning({ mtu: 1400 }), pod })).rejects.toMatchObject({
      code: 7,
      message: "Required prevResult missing",
    });
  });
});

describe("CHECK", () => {
  let result: Result;
  const config = () => tuning({ ...everything, sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "0x1" } });
  beforeEach(async () => {
    result = await caller.addChain({ plugins: [macvlan, config()], pod });
  });
  const check = () => caller.call({ verb: "CHECK", config: config(), pod, prevResult: result });

  test.each<[string, string, string]>([
    [
      "another MAC",
      "ip link set net1 address 02:00:00:00:00:77",
      `configured Ethernet of net1 is ${mac}, current value is 02:00:00:00:00:77`,
    ],
    ["another MTU", "ip link set net1 mtu 1450", "configured MTU of net1 is 1400, current value is 1450"],
    [
      "promiscuous mode off",
      "ip link set net1 promisc off",
      "Tuning link net1 configured promisc is true, current value is 0",
    ],
    [
      "all-multicast mode off",
      "ip link set net1 allmulticast off",
      "all-multicast mode of net1 is true, current value is false",
    ],
    [
      "another queue length",
      "ip link set net1 txqueuelen 5",
      "Transmit Queue Length of net1 is 777, current value is 5",
    ],
    [
      "another sysctl",
      "echo 0 > /proc/sys/net/ipv4/conf/net1/arp_filter",
      "configured value of /proc/sys/net/ipv4/conf/net1/arp_filter is 0x1, current value is 0",
    ],
    ["no interface", "ip link del net1", "open /proc/sys/net/ipv4/conf/net1/arp_filter: no such file or directory"],
  ])("finds %s", async (_, command, message) => {
    await check();
    pod.run("sh", "-c", command);
    await expect(check()).rejects.toMatchObject({ code: 999, message: expect.stringContaining(message) as string });
  });

  test("is content when somebody listens on an interface that is not to be promiscuous", async () => {
    pod.ip("link add br0 type bridge", "link add p0 type veth peer name p1");
    const plain = { ...tuning({ mtu: 1400 }), type: "tuning" };
    pod.ip("link set net1 promisc on");
    await caller.call({ verb: "CHECK", config: plain, pod, prevResult: result });
  });
});

describe("DEL", () => {
  const before = async (own: JsonObject = everything) => {
    const call = chain(own);
    return { call, result: await caller.addChain(call) };
  };

  test.each<[string, () => string]>([
    ["is gone", () => (pod[Symbol.dispose](), pod.path)],
    ["was never told", () => ""],
    ["left a plain file", () => folder.write("sub/file", "")],
  ])("takes the backup when the namespace %s", async (_, path) => {
    await before();
    await caller.call({ verb: "DEL", config: tuning(), pod: path() });
    expect(files().filter((name) => name.endsWith(".json"))).toEqual([]);
  });

  test("takes the backup when the link is gone, and needs no config that can be read", async () => {
    await before();
    pod.ip("link del net1");
    await caller.call({ verb: "DEL", config: tuning({ mtu: "x", mac: 5, sysctl: [] }), pod, args: "FOO=bar" });
    expect(files()).toEqual([]);
  });

  test("passes over a backup that can't be read, and one without content", async () => {
    await before();
    for (const text of ["{", "", '{"mac":"xx","mtu":"y"}']) {
      folder.write("ctr0_net1.json", text);
      await caller.call({ verb: "DEL", config: tuning(), pod });
      expect(files()).toEqual([]);
    }
  });

  test("logs what can't be put back, and is done", async () => {
    await before({ mtu: 1400 });
    folder.write("ctr0_net1.json", { mtu: 9999 });
    await caller.call({ verb: "DEL", config: tuning(), pod });
    expect(caller.log.map(({ message }) => message).join()).toContain(
      'not put back: failed to set the MTU 9999 of "net1"',
    );
    expect(files()).toEqual([]);
  });

  test("puts back what a file of upstream's says", async () => {
    await before({ mtu: 1400 });
    folder.write(
      "ctr0_net1.json",
      '{\n "mac": "02:00:00:00:00:0b",\n "promisc": false,\n "mtu": 1450,\n "txQLen": 11\n}',
    );
    await caller.call({ verb: "DEL", config: tuning(), pod });
    expect(link()).toMatchObject({ address: "02:00:00:00:00:0b", mtu: 1450, txqlen: 11 });
  });
});

describe("GC", () => {
  test("takes the backups of this network's attachments that are no more", async () => {
    await caller.addChain({ ...chain(everything), name: "net" });
    await caller.addChain({ ...chain({ mtu: 1400 }), name: "net", ifName: "net2" });
    await caller.addChain({ ...chain({ mtu: 1400 }), name: "other", containerId: "ctr1", ifName: "net3" });
    folder.write("ctr2_net1.json", '{"mtu":1500}');
    pod[Symbol.dispose]();
    const valid = [{ containerId: "ctr0", ifName: "net2" }];
    await caller.gcChain({ plugins: [tuning()], name: "net" }, valid);
    expect(files()).toEqual(["ctr0_net2.json", "ctr1_net3.json", "ctr2_net1.json"]);
    await caller.gcChain({ plugins: [tuning({ mtu: "x" })], name: "net" }, []);
    expect(files()).toEqual(["ctr1_net3.json", "ctr2_net1.json"]);
  });

  test("has nothing to do where there is no folder", async () => {
    await caller.gcChain({ plugins: [tuning({ dataDir: join(folder.path, "nowhere") })] }, []);
    expect(existsSync(join(folder.path, "nowhere"))).toBe(false);
  });
});

describe("STATUS", () => {
  test("is well without sysctls, and says 50 for those that can't be set", async () => {
    await caller.call({ verb: "STATUS", config: tuning(), pod: "" });
    const config = tuning({ sysctl: { "net.core.somaxconn": "1" } });
    await caller.call({ verb: "STATUS", config, pod: "" });
    await expect(
      caller.call({ verb: "STATUS", config: { ...config, requireAllowlist: true }, pod: "" }),
    ).rejects.toMatchObject({ code: 50, message: expect.stringContaining("is not allowed") as string });
  });
});
