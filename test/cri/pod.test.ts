// One pod after the other on a real containerd: what its networks are while it runs, and that nothing of them stays.
import { beforeAll, expect, test } from "vitest";
import { useCriNode } from "./use-node.ts";

const node = useCriNode();

beforeAll(async () => {
  await node().install();
  const ipam = { type: "host-local", ranges: [[{ subnet: "10.78.0.0/16" }]] };
  node().network("lan", { cniVersion: "1.0.0", type: "bridge", bridge: "br-lan", ipam });
});

test("a pod with two NICs runs, and after its deletion nothing is left", async () => {
  const here = node();
  const pod = await here.runPod("lan");
  const container = await here.runContainer(pod);
  expect(await here.state(pod)).toBe("SANDBOX_READY");
  const addresses = await here.exec(container, "ip", "-4", "-o", "addr");
  expect(addresses).toMatch(/ eth0 +inet 10\.77\.\d+\.\d+\/16 /);
  expect(addresses).toMatch(/ net1 +inet 10\.78\.\d+\.\d+\/16 /);
  expect(await here.exec(container, "ip", "route")).toMatch(/^default via 10\.77\.0\.1 dev eth0/m);
  // The runtime's own business, not ours.
  expect(await here.exec(container, "ip", "addr", "show", "lo")).toContain("127.0.0.1/8");
  await here.removePod(pod);
  expect(here.remains()).toEqual([]);
});

test("a pod without the annotation has the primary network only", async () => {
  const here = node();
  const pod = await here.runPod();
  const container = await here.runContainer(pod);
  expect(await here.exec(container, "ip", "-o", "link")).not.toContain("net1");
  await here.removePod(pod);
  expect(here.remains()).toEqual([]);
});

test("two pods reach each other on both networks", async () => {
  const here = node();
  const [one, other] = [await here.runPod("lan"), await here.runPod("lan")];
  const [client, server] = [await here.runContainer(one), await here.runContainer(other)];
  const addresses = await here.exec(server, "ip", "-4", "-o", "addr");
  for (const name of ["eth0", "net1"]) {
    const address = new RegExp(` ${name} +inet ([\\d.]+)/`).exec(addresses)?.[1] ?? "";
    expect(await here.exec(client, "ping", "-c", "1", "-W", "10", address)).toContain("1 packets received");
  }
  for (const pod of [one, other]) await here.removePod(pod);
  expect(here.remains()).toEqual([]);
});
