import { describe, expect, test } from "vitest";
import type { ResultIp, ResultRoute } from "../../cni/result.ts";
import { parseIp } from "../../ip/address.ts";
import { parsePrefix } from "../../ip/prefix.ts";
import { describePlan, planRoutes } from "./route-plan.ts";

const ip = (text: string) => parseIp(text)!;

function address(text: string, gateway?: string): ResultIp {
  return { address: parsePrefix(text)!, ...(gateway === undefined ? {} : { gateway: ip(gateway) }) };
}

type Extras = Omit<ResultRoute, "dst" | "gw">;

function route(dst: string, gw?: string, extras: Extras = {}): ResultRoute {
  return { dst: parsePrefix(dst)!, ...(gw === undefined ? {} : { gw: ip(gw) }), ...extras };
}

/** The plan in words, metrics in brackets behind. */
function planned(routes: readonly ResultRoute[], ips: readonly ResultIp[]): string[] {
  return planRoutes(routes, ips, { index: 7, name: "net1" }).map((spec) => {
    const { mtu, advmss } = spec.metrics ?? {};
    const metrics = [mtu === undefined ? [] : `mtu ${mtu}`, advmss === undefined ? [] : `advmss ${advmss}`].flat();
    return describePlan(spec, "net1") + (metrics.length === 0 ? "" : ` (${metrics.join(", ")})`);
  });
}

const v4 = address("10.1.2.3/24", "10.1.2.1");
const v6 = address("fd00::3/64", "fd00::1");

describe("routes are planned:", () => {
  test.each<[string, ResultRoute[], ResultIp[], string[]]>([
    ["none for none", [], [v4], []],
    ["over their own gateway", [route("10.9.0.0/16", "10.1.2.9")], [v4], ["10.9.0.0/16 via 10.1.2.9 dev net1"]],
    [
      "over the first gateway of their family",
      [route("0.0.0.0/0"), route("::/0")],
      [address("10.1.1.3/24"), v4, address("10.1.3.3/24", "10.1.3.1"), v6],
      ["0.0.0.0/0 via 10.1.2.1 dev net1", "::/0 via fd00::1 dev net1"],
    ],
    [
      "straight where there is no gateway",
      [route("10.9.0.0/16")],
      [address("10.1.1.3/24"), v6],
      ["10.9.0.0/16 dev net1"],
    ],
    [
      "straight where the scope says so",
      [route("10.9.0.0/16", undefined, { scope: 253 }), route("10.8.0.0/16", undefined, { scope: 254 })],
      [v4],
      ["10.9.0.0/16 dev net1 scope 253", "10.8.0.0/16 dev net1 scope 254"],
    ],
    [
      "over the gateway for a wider scope",
      [route("10.9.0.0/16", undefined, { scope: 0 }), route("10.8.0.0/16", undefined, { scope: 200 })],
      [v4],
      ["10.9.0.0/16 via 10.1.2.1 dev net1 scope 0", "10.8.0.0/16 via 10.1.2.1 dev net1 scope 200"],
    ],
    [
      "with all that they carry",
      [route("10.9.0.0/16", undefined, { priority: 50, table: 100, mtu: 1300, advmss: 1200 })],
      [v4],
      ["10.9.0.0/16 via 10.1.2.1 dev net1 metric 50 table 100 (mtu 1300, advmss 1200)"],
    ],
    [
      "with 0 meaning what is not given",
      [route("10.9.0.0/16", undefined, { priority: 0, table: 0, mtu: 0, advmss: 0 })],
      [v4],
      ["10.9.0.0/16 via 10.1.2.1 dev net1"],
    ],
    [
      "as multipath where only the gateway differs, in the place of the first",
      [
        route("10.9.0.0/16", "10.1.2.8"),
        route("10.7.0.0/16"),
        route("10.9.0.0/16", "10.1.2.9"),
        route("fd01::/64", "fd00::8"),
        route("fd01::/64", "fd00::9"),
      ],
      [v4, v6],
      [
        "10.9.0.0/16 via 10.1.2.8 via 10.1.2.9 dev net1",
        "10.7.0.0/16 via 10.1.2.1 dev net1",
        "fd01::/64 via fd00::8 via fd00::9 dev net1",
      ],
    ],
    [
      "once where they say the same, also when only one names the gateway",
      [route("10.9.0.0/16", "10.1.2.1"), route("10.9.0.0/16"), route("10.9.0.0/16", "10.1.2.1")],
      [v4],
      ["10.9.0.0/16 via 10.1.2.1 dev net1"],
    ],
    [
      "apart where metric, table or MTU differ",
      [
        route("10.9.0.0/16"),
        route("10.9.0.0/16", undefined, { priority: 5 }),
        route("10.9.0.0/16", undefined, { table: 5 }),
        route("10.9.0.0/16", "10.1.2.9", { mtu: 1300 }),
      ],
      [v4],
      [
        "10.9.0.0/16 via 10.1.2.1 dev net1",
        "10.9.0.0/16 via 10.1.2.1 dev net1 metric 5",
        "10.9.0.0/16 via 10.1.2.1 dev net1 table 5",
        "10.9.0.0/16 via 10.1.2.9 dev net1 (mtu 1300)",
      ],
    ],
    ["to the network for IPv6 with host bits", [route("fd01::5/64")], [v6], ["fd01::/64 via fd00::1 dev net1"]],
    [
      "over a gateway of the other family",
      [route("10.9.0.0/16", "fd00::9")],
      [v4, v6],
      ["10.9.0.0/16 via fd00::9 dev net1"],
    ],
  ])("%s", (_, routes, ips, want) => {
    expect(planned(routes, ips)).toEqual(want);
  });
});

test("an IPv4 destination with host bits is refused with both readings", () => {
  expect(() => planned([route("10.9.0.5/16")], [v4])).toThrow(
    expect.objectContaining({
      code: 7,
      message:
        "failed to add route '10.9.0.5/16': the destination has host bits; write 10.9.0.0/16 for the network or 10.9.0.5/32 for the host",
    }),
  );
});
