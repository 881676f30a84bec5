import { Lan } from "../kit/node-netns.ts";
import { chainOf, type Life, ipam, lead } from "../peers/cnitool-life.ts";
import { useLegacyIptables } from "./legacy-iptables.ts";
import type { GuestCases } from "./uml.ts";

const made = [{ in: "pod", command: "ip addr show dev net1", prints: /inet 192\.0\.2\.7\/24/ }] as const;

const vlan = {
  plugin: { type: "vlan", master: "eth0", vlanId: 100, ipam },
  made: [...made, { in: "pod", command: "ip -d link show dev net1", prints: /vlan protocol 802\.1Q id 100 / }],
  damages: [{ in: "pod", command: "ip link del net1" }],
} as const;
const ipvlan = {
  plugin: { type: "ipvlan", master: "eth0", mode: "l2", ipam },
  made: [...made, { in: "pod", command: "ip -d link show dev net1", prints: /ipvlan +mode l2 bridge/ }],
  damages: [{ in: "pod", command: "ip addr del 192.0.2.7/24 dev net1" }],
} as const;

const lives: readonly Life[] = [
  chainOf(vlan),
  chainOf(ipvlan),
  chainOf(vlan, "tuning", "sbr"),
  chainOf(ipvlan, "tuning", "sbr", "portmap"),
];

export const cases: GuestCases = Object.fromEntries(
  lives.map((life) => [
    `${life.name}, through its whole life`,
    async () => {
      if (life.name.includes("portmap")) useLegacyIptables();
      using lan = new Lan();
      await lead(life, lan.node());
    },
  ]),
);
