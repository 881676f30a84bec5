// What becomes of tuning: ADD that fails, CHECK after somebody was at it, DEL in all circumstances, GC, STATUS.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { CniError } from "../../src/cni/error.ts";
import type { Result } from "../../src/cni/result.ts";
import type { JsonObject } from "../../src/json/value.ts";
import { diff } from "../kit/diff.ts";
import { snapshot } from "../kit/snapshot.ts";
import { asPrevious, everything, mac, macvlan, useTuningSite } from "../kit/tuning-site.ts";

const site = useTuningSite();

describe("an ADD that fails puts all back:", () => {
  async function refused(own: JsonObject, message: string, code = 999): Promise<CniError> {
    const first = await site().caller.add({ config: macvlan, pod: site().pod });
    const before = [snapshot(site().pod.path), site().files()];
    const config = site().tuning({ ...own, prevResult: asPrevious(first) });
    const error: unknown = await site()
      .caller.add({ config, pod: site().pod })
      .catch((reason: unknown) => reason);
    expect(diff(before, [snapshot(site().pod.path), site().files()])).toEqual([]);
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
    await site().caller.add({ config: { type: "macvlan", master: "eth0", mac }, pod: site().pod, ifName: "net9" });
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
    const path = site().folder.write("file", "");
    await refused({ mtu: 1400, dataDir: join(path, "x") }, `dataDir ${path}/x can't be used`, 5);
  });
  test("no interface", async () => {
    await expect(
      site().caller.add({ config: site().tuning({ mtu: 1400, prevResult: { cniVersion: "1.1.0" } }), pod: site().pod }),
    ).rejects.toThrow(`failed to get "net1": Link not found in pod ${site().pod.path}`);
    expect(site().files()).toEqual([]);
  });
  test("no previous result", async () => {
    await expect(site().caller.add({ config: site().tuning({ mtu: 1400 }), pod: site().pod })).rejects.toMatchObject({
      code: 7,
      message: "Required prevResult missing",
    });
  });
});

describe("CHECK", () => {
  let result: Result;
  const config = () => site().tuning({ ...everything, sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "0x1" } });
  beforeEach(async () => {
    result = await site().caller.addChain({ plugins: [macvlan, config()], pod: site().pod });
  });
  const check = () => site().caller.call({ verb: "CHECK", config: config(), pod: site().pod, prevResult: result });

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
    site().pod.run("sh", "-c", command);
    await expect(check()).rejects.toMatchObject({ code: 999, message: expect.stringContaining(message) as string });
  });

  test("is content when somebody listens on an interface that is not to be promiscuous", async () => {
    site().pod.ip("link add br0 type bridge", "link add p0 type veth peer name p1");
    const plain = { ...site().tuning({ mtu: 1400 }), type: "tuning" };
    site().pod.ip("link set net1 promisc on");
    await site().caller.call({ verb: "CHECK", config: plain, pod: site().pod, prevResult: result });
  });
});

describe("DEL", () => {
  const before = async (own: JsonObject = everything) => {
    const call = site().chain(own);
    return { call, result: await site().caller.addChain(call) };
  };

  test.each<[string, () => string]>([
    ["is gone", () => (site().pod[Symbol.dispose](), site().pod.path)],
    ["was never told", () => ""],
    ["left a plain file", () => site().folder.write("sub/file", "")],
  ])("takes the backup when the namespace %s", async (_, path) => {
    await before();
    await site().caller.call({ verb: "DEL", config: site().tuning(), pod: path() });
    expect(
      site()
        .files()
        .filter((name) => name.endsWith(".json")),
    ).toEqual([]);
  });

  test("takes the backup when the link is gone, and needs no config that can be read", async () => {
    await before();
    site().pod.ip("link del net1");
    await site().caller.call({
      verb: "DEL",
      config: site().tuning({ mtu: "x", mac: 5, sysctl: [] }),
      pod: site().pod,
      args: "FOO=bar",
    });
    expect(site().files()).toEqual([]);
  });

  test("passes over a backup that can't be read, and one without content", async () => {
    await before();
    for (const text of ["{", "", '{"mac":"xx","mtu":"y"}']) {
      site().folder.write("ctr0_net1.json", text);
      await site().caller.call({ verb: "DEL", config: site().tuning(), pod: site().pod });
      expect(site().files()).toEqual([]);
    }
  });

  test("logs what can't be put back, and is done", async () => {
    await before({ mtu: 1400 });
    site().folder.write("ctr0_net1.json", { mtu: 9999 });
    await site().caller.call({ verb: "DEL", config: site().tuning(), pod: site().pod });
    expect(
      site()
        .caller.log.map(({ message }) => message)
        .join(),
    ).toContain('not put back: failed to set the MTU 9999 of "net1"');
    expect(site().files()).toEqual([]);
  });

  test("puts back what a file of upstream's says", async () => {
    await before({ mtu: 1400 });
    site().folder.write(
      "ctr0_net1.json",
      '{\n "mac": "02:00:00:00:00:0b",\n "promisc": false,\n "mtu": 1450,\n "txQLen": 11\n}',
    );
    await site().caller.call({ verb: "DEL", config: site().tuning(), pod: site().pod });
    expect(site().link()).toMatchObject({ address: "02:00:00:00:00:0b", mtu: 1450, txqlen: 11 });
  });
});

describe("GC", () => {
  test("takes the backups of this network's attachments that are no more", async () => {
    await site().caller.addChain({ ...site().chain(everything), name: "net" });
    await site().caller.addChain({ ...site().chain({ mtu: 1400 }), name: "net", ifName: "net2" });
    await site().caller.addChain({
      ...site().chain({ mtu: 1400 }),
      name: "other",
      containerId: "ctr1",
      ifName: "net3",
    });
    site().folder.write("ctr2_net1.json", '{"mtu":1500}');
    site().pod[Symbol.dispose]();
    const valid = [{ containerId: "ctr0", ifName: "net2" }];
    await site().caller.gcChain({ plugins: [site().tuning()], name: "net" }, valid);
    expect(site().files()).toEqual(["ctr0_net2.json", "ctr1_net3.json", "ctr2_net1.json"]);
    await site().caller.gcChain({ plugins: [site().tuning({ mtu: "x" })], name: "net" }, []);
    expect(site().files()).toEqual(["ctr1_net3.json", "ctr2_net1.json"]);
  });

  test("has nothing to do where there is no folder", async () => {
    await site().caller.gcChain({ plugins: [site().tuning({ dataDir: join(site().folder.path, "nowhere") })] }, []);
    expect(existsSync(join(site().folder.path, "nowhere"))).toBe(false);
  });
});

describe("STATUS", () => {
  test("is well without sysctls, and says 50 for those that can't be set", async () => {
    await site().caller.call({ verb: "STATUS", config: site().tuning(), pod: "" });
    const config = site().tuning({ sysctl: { "net.core.somaxconn": "1" } });
    await site().caller.call({ verb: "STATUS", config, pod: "" });
    await expect(
      site().caller.call({ verb: "STATUS", config: { ...config, requireAllowlist: true }, pod: "" }),
    ).rejects.toMatchObject({ code: 50, message: expect.stringContaining("is not allowed") as string });
  });
});
