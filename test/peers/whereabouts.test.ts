// Go macvlan and bridge with our whereabouts as their IPAM plugin: executed by libcni from CNI_PATH, under its own name.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { useLan, useTemporaryFolder } from "../kit/hooks.ts";
import { peerTools } from "../kit/peer-tools.ts";

const lan = useLan();
const folder = useTemporaryFolder();

test.each([
  ["macvlan", { master: "eth0" }],
  ["bridge", { bridge: "br-peer" }],
] as const)("Go %s calls it at ADD, CHECK and DEL", async (type, keys) => {
  const node = lan().node();
  using pod = node.pod();
  const manifests = join(folder().path, type);
  const config = {
    cniVersion: "1.0.0",
    name: "lan",
    type,
    ...keys,
    ipam: {
      type: "whereabouts",
      manifests,
      data_dir: join(manifests, "node"),
      range: "192.0.2.0/24",
      ipRanges: [{ range: "2001:db8::/64" }],
      routes: [{ dst: "198.51.100.0/24" }],
      gateway: "192.0.2.254",
    },
  };
  const call = {
    executable: join(peerTools().bin, type),
    path: `${polynicBin}:${peerTools().bin}`,
    config,
    containerId: "ctr0",
    ifName: "net1",
    netns: pod.path,
    node,
  };
  const added = await mustCallCni({ ...call, command: "ADD" });
  expect(added.result).toMatchObject({ ips: [{ address: "192.0.2.1/24" }, { address: "2001:db8::1/64" }] });
  expect(pod.run("ip", "-o", "address", "show", "dev", "net1")).toContain("192.0.2.1/24");
  await mustCallCni({ ...call, command: "CHECK", config: { ...config, prevResult: added.result } });
  await mustCallCni({ ...call, command: "DEL" });
  const objects = join(manifests, ".state", "whereabouts", "overlappingrangeipreservations");
  expect(existsSync(objects) ? readdirSync(objects) : []).toEqual([]);
  if (type === "bridge") node.run("ip", "link", "del", "br-peer");
});
