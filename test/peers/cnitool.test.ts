import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { polynicBin } from "../kit/cni-caller.ts";
import { leftovers } from "../kit/diff.ts";
import { useLan, useTemporaryFolder } from "../kit/hooks.ts";
import { peerTools } from "../kit/peer-tools.ts";
import { snapshot } from "../kit/snapshot.ts";
import { cnitool, type CnitoolCall } from "./cnitool.ts";

const lan = useLan();
const folder = useTemporaryFolder();

type Step = (verb: CnitoolCall["verb"]) => ReturnType<typeof cnitool>;

/** The verbs of cnitool on one network, whose list of plugins is written for it, for one pod. */
function prepare(path: string, plugins: readonly object[], capabilities: object) {
  folder().write("net.d/10-pods.conflist", { cniVersion: "1.1.0", name: "pods", plugins });
  const node = lan().node();
  const pod = node.pod();
  const confDir = join(folder().path, "net.d");
  const call: Step = (verb) =>
    cnitool({ verb, network: "pods", netns: pod.path, node, confDir, path, ifName: "net1", capabilities });
  return { node, pod, call };
}

describe.each([
  ["the Go plugins", () => peerTools().bin],
  ["ours", () => polynicBin],
])("cnitool drives %s", (_, bin) => {
  test("macvlan with static and tuning behind it, through its whole life", async () => {
    const { pod, call } = prepare(
      bin(),
      [
        { type: "macvlan", master: "eth0", ipam: { type: "static", addresses: [{ address: "192.0.2.7/24" }] } },
        { type: "tuning", capabilities: { mac: true } },
      ],
      { mac: "02:00:00:00:00:07" },
    );
    const before = snapshot(pod.path);
    expect(await call("status")).toMatchObject({ exitCode: 0 });
    expect((await call("add")).result).toMatchObject({ ips: [{ address: "192.0.2.7/24" }] });
    expect(snapshot(pod.path).links["net1"]).toMatchObject({ address: "02:00:00:00:00:07" });
    expect(await call("check")).toMatchObject({ exitCode: 0 });
    expect(await call("del")).toMatchObject({ exitCode: 0 });
    expect(snapshot(pod.path)).toEqual(before);
  });

  test("bridge with host-local, whose pod gc takes away", async () => {
    const { node, pod, call } = prepare(
      bin(),
      [
        {
          type: "bridge",
          bridge: "br0",
          isDefaultGateway: true,
          ipMasq: true,
          ipam: { type: "host-local", subnet: "10.4.0.0/24", dataDir: join(folder().path, "leases") },
        },
      ],
      {},
    );
    expect((await call("add")).result).toMatchObject({ ips: [{ gateway: "10.4.0.1" }] });
    expect(await call("check")).toMatchObject({ exitCode: 0 });
    expect(await call("del")).toMatchObject({ exitCode: 0 });
    const before = snapshot(node.path);
    expect(await call("add")).toMatchObject({ exitCode: 0 });
    expect(await call("gc")).toMatchObject({ exitCode: 0 });
    expect(leftovers(before, snapshot(node.path))).toEqual([]);
    expect(pod.run("ip", "-o", "link").trim().split("\n")).toHaveLength(1);
  });
});
