// loopback on a real kernel, called as the dispatcher calls it.
import { expect, test } from "vitest";
import { emptyResult, type Result } from "../../src/cni/result.ts";
import { formatPrefix } from "../../src/ip/prefix.ts";
import type { BuiltinCaller } from "../kit/builtin-caller.ts";
import { eachInFreshPod } from "../kit/fresh-pod.ts";
import { useDisposable, useTemporaryFolder } from "../kit/hooks.ts";
import { NodeNetns, type PinnedNetns } from "../kit/node-netns.ts";
import { snapshot } from "../kit/snapshot.ts";

const node = useDisposable(() => new NodeNetns());
const folder = useTemporaryFolder();
const config = { type: "loopback" };

let caller: BuiltinCaller;
let pod: PinnedNetns;
eachInFreshPod(node, (fresh) => ({ caller, pod } = fresh));

const isUp = () => (snapshot(pod.path).links["lo"]?.["flags"] as string[] | undefined)?.includes("UP");

test.each(["lo", "net1"])("brings lo up and tells its addresses when the interface is to be %s", async (ifName) => {
  const result = await caller.add({ config, pod, ifName });
  expect(isUp()).toBe(true);
  expect(result.interfaces).toEqual([{ name: "lo", mac: "00:00:00:00:00:00", sandbox: pod.path }]);
  expect(result.ips.map((ip) => [formatPrefix(ip.address), ip.interface])).toEqual([
    ["127.0.0.1/8", 0],
    ["::1/128", 0],
  ]);
});

test("hands on a previous result", async () => {
  const prevResult: Result = { ...emptyResult, interfaces: [{ name: "eth0", sandbox: pod.path }] };
  expect(await caller.add({ config, pod, prevResult })).toEqual(prevResult);
  expect(isUp()).toBe(true);
});

test("tells no IPv6 address where there is none", async () => {
  pod.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6");
  const { ips } = await caller.add({ config, pod });
  expect(ips.map(({ address }) => formatPrefix(address))).toEqual(["127.0.0.1/8"]);
});

test("refuses addresses that are not loopback's, and leaves lo as it was", async () => {
  pod.ip("addr add 192.0.2.1/32 dev lo");
  const before = snapshot(pod.path);
  await expect(caller.add({ config, pod })).rejects.toMatchObject({
    code: 999,
    message: 'loopback interface found with non-loopback address "192.0.2.1"; take it off "lo" of the pod',
  });
  expect(snapshot(pod.path)).toEqual(before);
});

test("CHECK finds lo down", async () => {
  const prevResult = await caller.add({ config, pod });
  await caller.call({ verb: "CHECK", config, pod, prevResult });
  pod.ip("link set lo down");
  await expect(caller.call({ verb: "CHECK", config, pod, prevResult })).rejects.toThrow("loopback interface is down");
});

test("DEL sets lo down, and may come twice", async () => {
  await caller.add({ config, pod });
  await caller.call({ verb: "DEL", config, pod });
  await caller.call({ verb: "DEL", config, pod });
  expect(isUp()).toBe(false);
});

test("DEL of a namespace that is gone is well", async () => {
  for (const path of ["", "/run/netns/nowhere", folder().write("plain", "")]) {
    await caller.call({ verb: "DEL", config, pod: path });
  }
});

test("ADD needs a namespace", async () => {
  await expect(caller.add({ config, pod: "/run/netns/nowhere" })).rejects.toMatchObject({ code: 8 });
});

test("STATUS and GC have nothing to say", async () => {
  await caller.call({ verb: "STATUS", config, pod: "" });
  await caller.call({ verb: "GC", config: { ...config, "cni.dev/valid-attachments": [] }, pod: "" });
});
