// Sysctls that an interface has to have before it is up: set by the plugin that makes it, since tuning comes too late for them.
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/json/value.ts";
import type { BuiltinCaller } from "../kit/builtin-caller.ts";
import { diff } from "../kit/diff.ts";
import { eachInFreshPod } from "../kit/fresh-pod.ts";
import { useLan } from "../kit/hooks.ts";
import type { PinnedNetns } from "../kit/node-netns.ts";
import { snapshot } from "../kit/snapshot.ts";

const lan = useLan();
const node = () => lan().node();

let caller: BuiltinCaller;
let pod: PinnedNetns;
eachInFreshPod(node, (fresh) => ({ caller, pod } = fresh));

const ipam = { type: "static", addresses: [{ address: "192.0.2.5/24" }, { address: "2001:db8::5/64" }] };
const own = { "net.ipv6.conf.IFNAME.accept_ra": "0", "net/ipv6/conf/IFNAME/autoconf": "0" };
const hosts: readonly (JsonObject & { readonly type: string })[] = [
  { type: "macvlan", master: "eth0" },
  { type: "bridge", bridge: "br1" },
];
const settings = () => snapshot(pod.path).sysctls["net1"];

describe.each(hosts)("$type", (host) => {
  test.each<[string, JsonObject]>([
    ["with addresses", { ipam }],
    ["without", {}],
  ])("sets them %s, and finds them changed", async (_, more) => {
    const config = { ...host, ...more, sysctl: own };
    const result = await caller.add({ config, pod });
    expect(settings()).toMatchObject({ "ipv6.accept_ra": "0", "ipv6.autoconf": "0" });
    const check = () => caller.call({ verb: "CHECK", config: { ipam: {}, ...config }, pod, prevResult: result });
    await check();
    pod.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/net1/autoconf");
    await expect(check()).rejects.toThrow(
      "Error: configured value of /proc/sys/net/ipv6/conf/net1/autoconf is 0, current value is 1",
    );
  });

  test("has them before the interface is up: no address is made of what it is told then", async () => {
    const sysctl = { "net.ipv6.conf.IFNAME.addr_gen_mode": "1" };
    await caller.add({ config: { ...host, sysctl }, pod });
    expect(pod.run("ip", "-6", "addr", "show", "dev", "net1")).toBe("");
    await caller.add({ config: host, pod, ifName: "net2" });
    // One is made when the kernel has seen that the link is up.
    await expect
      .poll(() => pod.run("ip", "-6", "addr", "show", "dev", "net2"), { timeout: 60_000 })
      .toContain("inet6 fe80::");
  });

  test.each<[string, JsonObject, number, string]>([
    ["that are the pod's", { "net.core.somaxconn": "1" }, 7, 'sysctl "net.core.somaxconn" is not one of the interface'],
    ["of another interface", { "net.ipv4.conf.all.arp_filter": "1" }, 7, "is not one of the interface"],
    ["outside of net", { "kernel.hostname": "x" }, 7, 'invalid net sysctl key: "kernel/hostname"'],
    ["of a wrong type", { "net.ipv4.conf.IFNAME.arp_filter": 1 }, 7, 'arp_filter"]: expected a string, found 1'],
    ["that are not there", { "net.ipv4.conf.IFNAME.nope": "1" }, 999, "the pod has no sysctl net/ipv4/conf/net1/nope"],
  ])("refuses those %s, and leaves nothing", async (_, sysctl, code, message) => {
    const before = snapshot(pod.path);
    await expect(caller.add({ config: { ...host, ipam, sysctl }, pod })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
    expect(diff(before, snapshot(pod.path))).toEqual([]);
  });

  test("refuses all where a list is required and there is none", async () => {
    await expect(caller.add({ config: { ...host, sysctl: own, requireAllowlist: true }, pod })).rejects.toMatchObject({
      code: 7,
      message: expect.stringContaining("is not allowed") as string,
    });
  });

  test("is deleted whatever they say", async () => {
    await caller.add({ config: host, pod });
    await caller.call({ verb: "DEL", config: { ...host, sysctl: { x: 1 } }, pod });
    expect(snapshot(pod.path).links["net1"]).toBeUndefined();
  });
});
