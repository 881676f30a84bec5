import { describe, expect, test } from "vitest";
import type { ResultIp, ResultRoute } from "../../cni/result.ts";
import { formatIp, parseIp } from "../../ip/address.ts";
import { formatPrefix, parsePrefix } from "../../ip/prefix.ts";
import { completeAddressing } from "./gateway.ts";

const ip = (text: string): ResultIp => {
  const [address = "", gateway] = text.split(" via ");
  return { address: parsePrefix(address)!, ...(gateway !== undefined && { gateway: parseIp(gateway)! }) };
};
const route = (text: string, more: Partial<ResultRoute> = {}): ResultRoute => {
  const [dst = "", gw] = text.split(" via ");
  return { dst: parsePrefix(dst)!, ...(gw !== undefined && { gw: parseIp(gw)! }), ...more };
};
const shown = ({ dst, gw, ...more }: ResultRoute) =>
  [formatPrefix(dst), gw === undefined ? "" : `via ${formatIp(gw)}`, JSON.stringify(more)].join(" ");

type Mode = "none" | "gateway" | "default";

function complete(mode: Mode, ips: readonly string[], routes: readonly ResultRoute[] = []) {
  const done = completeAddressing(
    { ips: ips.map(ip), routes },
    { isGateway: mode !== "none", isDefaultGateway: mode === "default" },
  );
  return {
    ips: done.ips.map(
      ({ address, gateway }) => `${formatPrefix(address)}${gateway === undefined ? "" : ` via ${formatIp(gateway)}`}`,
    ),
    routes: done.routes.map(shown),
    gateways: done.gateways.map(formatPrefix),
    interfaces: [...new Set(done.ips.map((each) => each.interface))],
  };
}

describe("gateways", () => {
  test.each<[string, Mode, string[], string[], string[]]>([
    [
      "stay as they are without isGateway",
      "none",
      ["10.1.2.5/24", "10.1.3.5/24 via 10.1.3.9"],
      ["10.1.2.5/24", "10.1.3.5/24 via 10.1.3.9"],
      [],
    ],
    ["are the first address by default", "gateway", ["10.1.2.5/24"], ["10.1.2.5/24 via 10.1.2.1"], ["10.1.2.1/24"]],
    [
      "are what the IPAM plugin says",
      "gateway",
      ["10.1.2.5/24 via 10.1.2.254"],
      ["10.1.2.5/24 via 10.1.2.254"],
      ["10.1.2.254/24"],
    ],
    [
      "are IPv4's first, then IPv6's",
      "gateway",
      ["fd00::5/64", "10.1.2.5/24"],
      ["fd00::5/64 via fd00::1", "10.1.2.5/24 via 10.1.2.1"],
      ["10.1.2.1/24", "fd00::1/64"],
    ],
    [
      "are one for two addresses of a network",
      "gateway",
      ["10.1.2.5/24", "10.1.2.6/24"],
      ["10.1.2.5/24 via 10.1.2.1", "10.1.2.6/24 via 10.1.2.1"],
      ["10.1.2.1/24"],
    ],
  ])("%s", (_, mode, given, ips, gateways) => {
    expect(complete(mode, given)).toMatchObject({ ips, gateways, interfaces: [2] });
  });

  test("need room in the network", () => {
    expect(() => complete("gateway", ["255.255.255.255/32"])).toThrow(
      "255.255.255.255/32 has no room for a gateway; have the IPAM plugin name one",
    );
  });
});

describe("default routes", () => {
  const dual = ["10.1.2.5/24", "fd00::5/64"];
  test.each<[string, Mode, string[], ResultRoute[], string[]]>([
    ["are not added by a gateway alone", "gateway", dual, [route("192.168.0.0/16")], ["192.168.0.0/16  {}"]],
    [
      "are added for each family, behind the others",
      "default",
      dual,
      [route("192.168.0.0/16")],
      ["192.168.0.0/16  {}", "0.0.0.0/0 via 10.1.2.1 {}", "::/0 via fd00::1 {}"],
    ],
    [
      "come in the order of the addresses",
      "default",
      ["fd00::5/64", "10.1.2.5/24"],
      [],
      ["::/0 via fd00::1 {}", "0.0.0.0/0 via 10.1.2.1 {}"],
    ],
    [
      "go over the first gateway of the family",
      "default",
      ["10.1.2.5/24", "10.1.3.5/24"],
      [],
      ["0.0.0.0/0 via 10.1.2.1 {}"],
    ],
    [
      "are the IPAM plugin's when they have a gateway",
      "default",
      dual,
      [route("0.0.0.0/0 via 10.1.2.99")],
      ["0.0.0.0/0 via 10.1.2.99 {}", "::/0 via fd00::1 {}"],
    ],
    [
      "of the IPAM plugin get the gateway that they lack",
      "default",
      dual,
      [route("0.0.0.0/0", { mtu: 1300 }), route("::/0")],
      ['0.0.0.0/0 via 10.1.2.1 {"mtu":1300}', "::/0 via fd00::1 {}"],
    ],
    [
      "of another table or metric are others",
      "default",
      ["10.1.2.5/24"],
      [route("0.0.0.0/0", { table: 100 }), route("0.0.0.0/0", { priority: 50 })],
      ['0.0.0.0/0  {"table":100}', '0.0.0.0/0  {"priority":50}', "0.0.0.0/0 via 10.1.2.1 {}"],
    ],
  ])("%s", (_, mode, ips, routes, want) => {
    expect(complete(mode, ips, routes).routes).toEqual(want);
  });
});
