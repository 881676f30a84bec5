import { expect, test } from "vitest";
import { useLan } from "../kit/hooks.ts";
import { chainOf, type Life, ipam, lead } from "./cnitool-life.ts";

const lan = useLan();
const spoilAddress = [{ in: "pod", command: "ip addr del 192.0.2.7/24 dev net1" }] as const;
const hasAddress = [{ in: "pod", command: "ip addr show dev net1", prints: /inet 192\.0\.2\.7\/24/ }] as const;

const macvlan = {
  plugin: { type: "macvlan", master: "eth0", ipam },
  made: hasAddress,
  damages: spoilAddress,
};
const bridge = {
  plugin: { type: "bridge", bridge: "br0", isGateway: true, ipMasq: true, ipam },
  made: hasAddress,
  damages: spoilAddress,
};

const loopback: Life = {
  name: "loopback",
  plugins: [{ type: "loopback" }],
  ifName: "lo",
  made: [{ in: "pod", command: "ip link show lo", prints: /<LOOPBACK,UP/ }],
  damages: [{ in: "pod", command: "ip link set lo down" }],
};

const lives = [
  loopback,
  chainOf(macvlan),
  chainOf(bridge),
  chainOf(macvlan, "sbr"),
  chainOf(macvlan, "tuning"),
  chainOf(bridge, "portmap"),
  { ...chainOf(bridge, "portmapByNft"), name: "bridge + portmap by nftables" },
  chainOf(macvlan, "tuning", "sbr", "portmap"),
  chainOf(bridge, "tuning", "sbr", "portmap"),
];

test.each(lives.map((life) => [life.name, life] as const))(
  "cnitool leads %s through its whole life",
  async (_, life) => {
    await lead(life, lan().node());
  },
);

test.each(["sbr", "tuning", "portmap"])("cnitool is told that %s can't stand alone", async (type) => {
  const alone: Life = { name: type, plugins: [{ type }], made: [], damages: [] };
  await expect(lead(alone, lan().node())).rejects.toThrow(
    /must be called as chained plugin|Required prevResult missing/,
  );
});
