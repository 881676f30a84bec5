import { expect, test } from "vitest";
import type { Result } from "../cni/result.ts";
import { parseIp } from "../ip/address.ts";
import { parsePrefix } from "../ip/prefix.ts";
import { formatNetworkStatus, networkStatuses } from "./network-status.ts";

function address(text: string, more: { gateway?: string; interface?: number } = {}) {
  const gateway = more.gateway === undefined ? {} : { gateway: parseIp(more.gateway)! };
  return {
    address: parsePrefix(text)!,
    ...gateway,
    ...(more.interface === undefined ? {} : { interface: more.interface }),
  };
}

const single: Result = {
  interfaces: [{ name: "net1", mac: "02:00:00:00:00:01", mtu: 1500, sandbox: "/run/netns/x" }],
  ips: [address("10.1.1.2/24", { interface: 0 }), address("fd00::2/64")],
  routes: [{ dst: parsePrefix("0.0.0.0/0")!, gw: parseIp("10.1.1.1")! }, { dst: parsePrefix("::/0")! }],
  dns: {},
};

test("one interface gives one element in Multus' layout, addresses without their length, gateways of default routes", () => {
  expect(formatNetworkStatus(networkStatuses("default/net-a", false, single))).toBe(
    `[{
    "name": "default/net-a",
    "interface": "net1",
    "ips": [
        "10.1.1.2",
        "fd00::2"
    ],
    "mac": "02:00:00:00:00:01",
    "mtu": 1500,
    "dns": {},
    "gateway": [
        "10.1.1.1"
    ]
}]`,
  );
});

test("several elements are joined by a bare comma", () => {
  const two = [...networkStatuses("a", true, single), ...networkStatuses("b", false, single)];
  expect(formatNetworkStatus(two)).toContain("},{");
  expect(two.map((status) => status.default)).toEqual([true, undefined]);
});

test("interfaces on the node are left out, and addresses follow their index", () => {
  const bridge: Result = {
    interfaces: [{ name: "cni0" }, { name: "veth1" }, { name: "eth0", sandbox: "/x", mac: "m" }],
    ips: [address("10.1.1.2/24", { interface: 2, gateway: "10.1.1.1" })],
    routes: [],
    dns: {},
  };
  expect(networkStatuses("cbr0", true, bridge)).toEqual([
    { name: "cbr0", interface: "eth0", ips: ["10.1.1.2"], mac: "m", default: true, dns: {} },
  ]);
});

test("of several interfaces the one with the gateway is the default, and addresses without index are the last one's", () => {
  const result: Result = {
    interfaces: [
      { name: "a", sandbox: "/x" },
      { name: "b", sandbox: "/x" },
    ],
    ips: [address("10.0.0.1/24", { interface: 1, gateway: "10.0.0.9" }), address("10.0.0.2/24")],
    routes: [],
    dns: {},
  };
  expect(networkStatuses("n", true, result)).toEqual([
    { name: "n", interface: "a", dns: {} },
    { name: "n", interface: "b", ips: ["10.0.0.1", "10.0.0.2"], default: true, dns: {} },
  ]);
});

test("a result without interfaces gives the specification's minimal element", () => {
  expect(networkStatuses("old", true, { interfaces: [], ips: [address("10.0.0.1/24")], routes: [], dns: {} })).toEqual([
    { name: "old", ips: ["10.0.0.1"], default: true, dns: {} },
  ]);
});

test("a default route without gateway prints no gateway (BUG 5: Multus prints <nil>)", () => {
  expect(
    networkStatuses("n", false, { ...single, routes: [{ dst: parsePrefix("0.0.0.0/0")! }] })[0]?.gateway,
  ).toBeUndefined();
});
