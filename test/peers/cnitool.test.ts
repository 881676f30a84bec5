import { expect, test } from "vitest";
import { useLan, useTemporaryFolder } from "../kit/hooks.ts";
import { peerTools } from "../kit/peer-tools.ts";
import { snapshot } from "../kit/snapshot.ts";
import { cnitool } from "./cnitool.ts";

const lan = useLan();
const folder = useTemporaryFolder();

test("cnitool drives a chain of the Go plugins through its whole life", async () => {
  folder().write("net.d/10-pods.conflist", {
    cniVersion: "1.0.0",
    name: "pods",
    plugins: [
      { type: "macvlan", master: "eth0", ipam: { type: "static", addresses: [{ address: "192.0.2.7/24" }] } },
      { type: "tuning", capabilities: { mac: true } },
    ],
  });
  const node = lan().node();
  const pod = node.pod();
  const before = snapshot(pod.path);
  const call = {
    network: "pods",
    netns: pod.path,
    node,
    confDir: `${folder().path}/net.d`,
    path: peerTools().bin,
    ifName: "net1",
    capabilities: { mac: "02:00:00:00:00:07" },
  };
  expect((await cnitool({ ...call, verb: "add" })).result).toMatchObject({ ips: [{ address: "192.0.2.7/24" }] });
  expect(snapshot(pod.path).links["net1"]).toMatchObject({ address: "02:00:00:00:00:07" });
  expect(await cnitool({ ...call, verb: "check" })).toMatchObject({ exitCode: 0 });
  expect(await cnitool({ ...call, verb: "del" })).toMatchObject({ exitCode: 0 });
  expect(snapshot(pod.path)).toEqual(before);
});
