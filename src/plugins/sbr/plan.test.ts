import { assert, property, subarray } from "fast-check";
import { describe, expect, test } from "vitest";
import type { ResultIp, ResultRoute } from "../../cni/result.ts";
import { parseIp } from "../../ip/address.ts";
import { isDefault, parsePrefix } from "../../ip/prefix.ts";
import { RT_SCOPE_LINK, RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, RTN_UNICAST, RTPROT_BOOT } from "../../rtnl/constants.ts";
import { describeRoute, type Route } from "../../rtnl/route.ts";
import { type Plan, planTables, tellTables } from "./plan.ts";

const device = { index: 2, name: "net1" };
const config = { table: undefined, gateways: {}, keepSubnets: false };

function ip(text: string): ResultIp {
  const [address = "", gateway] = text.split(" via ");
  return { address: parsePrefix(address)!, ...(gateway === undefined ? {} : { gateway: parseIp(gateway)! }) };
}

/** "192.0.2.0/24 src 192.0.2.5", "0.0.0.0/0 via 192.0.2.1 via 192.0.2.2". */
function route(text: string, own: Partial<Route> = {}): Route {
  const destination = parsePrefix(text.split(" ")[0] ?? "")!;
  const gateways = [...text.matchAll(/ via (\S+)/g)].map(([, word = ""]) => parseIp(word)!);
  const source = parseIp(/ src (\S+)/.exec(text)?.[1] ?? "");
  const [gateway, ...more] = gateways;
  const several = more.length > 0;
  return {
    destination,
    gateway: several ? undefined : gateway,
    device: several ? undefined : device.index,
    nextHops: several
      ? gateways.map((each) => ({ gateway: each, device: device.index, weight: 1, onlink: false }))
      : undefined,
    source,
    table: RT_TABLE_MAIN,
    scope: gateway === undefined && destination.ip.family === 4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
    protocol: RTPROT_BOOT,
    type: RTN_UNICAST,
    tos: 0,
    onlink: false,
    metrics: {},
    flags: 0,
    ...own,
  };
}

const say = (text: string) => text.replace(/^route /, "").replaceAll(/ dev (net1|#2)/g, "");

function worded({ tables, remove, hints }: Plan) {
  return {
    tables: tables.map((specs) => specs.map((spec) => say(describeRoute(spec)))),
    remove: remove.map((spec) => say(describeRoute(spec))),
    hints: hints.map((spec) => `${say(describeRoute(spec))} src ${spec.source?.value}`),
  };
}

const told: readonly ResultRoute[] = [];
const plan = (ips: string[], routes: readonly Route[], own: object = {}, results = told) =>
  worded(planTables({ device, ips: ips.map(ip), told: results, routes }, { ...config, ...own }));

const subnet = route("192.0.2.0/24 src 192.0.2.5");

describe("the plan of an interface's tables", () => {
  test("copies the subnet and adds the gateway's default route", () => {
    expect(plan(["192.0.2.5/24 via 192.0.2.1"], [subnet])).toEqual({
      tables: [["192.0.2.0/24", "default (IPv4) via 192.0.2.1"]],
      remove: ["192.0.2.0/24"],
      hints: [],
    });
  });

  test.each<[string, Route[], string[][]]>([
    ["a route over a gateway of its subnet", [route("10.0.0.0/8 via 192.0.2.9")], [["10.0.0.0/8 via 192.0.2.9"], []]],
    ["one that starts at it", [route("10.0.0.0/8 src 198.51.100.5")], [[], ["10.0.0.0/8"]]],
    ["one that says neither", [route("10.0.0.0/8")], [["10.0.0.0/8"], ["10.0.0.0/8"]]],
    [
      "one whose gateway is nobody's",
      [route("10.0.0.0/8 via 203.0.113.9")],
      [["10.0.0.0/8 via 203.0.113.9"], ["10.0.0.0/8 via 203.0.113.9"]],
    ],
    [
      "one with a gateway in each subnet",
      [route("10.0.0.0/8 via 192.0.2.9 via 198.51.100.9")],
      [["10.0.0.0/8 via 192.0.2.9 via 198.51.100.9"], ["10.0.0.0/8 via 192.0.2.9 via 198.51.100.9"]],
    ],
    ["none of another interface", [route("10.0.0.0/8 via 192.0.2.9", { device: 3 })], [[], []]],
    [
      "none that goes over another interface too",
      [
        route("10.0.0.0/8 via 192.0.2.9 via 192.0.2.8", {
          nextHops: [
            { gateway: parseIp("192.0.2.9"), device: 2, weight: 1, onlink: false },
            { gateway: parseIp("10.244.0.1"), device: 3, weight: 1, onlink: false },
          ],
        }),
      ],
      [[], []],
    ],
    ["none of another table", [route("10.0.0.0/8 via 192.0.2.9", { table: 77 })], [[], []]],
    ["none of a family without an address", [route("2001:db8::/32")], [[], []]],
  ])("gives an address %s", (_, routes, tables) => {
    const made = plan(["192.0.2.5/24", "198.51.100.5/24"], routes);
    expect(made.tables).toEqual(tables);
    const wanted = tables.flat().length > 0 ? routes.length : 0;
    expect(made.remove).toHaveLength(wanted);
  });

  test("leaves link-local IPv6 in the main table", () => {
    expect(plan(["2001:db8::5/64"], [route("fe80::/64"), route("2001:db8::/64")])).toEqual({
      tables: [["fe80::/64", "2001:db8::/64"]],
      remove: ["2001:db8::/64"],
      hints: [],
    });
  });

  const defaults: readonly (readonly [string, string, Route[], object, string[], string[]])[] = [
    ["the address's gateway", "192.0.2.5/24 via 192.0.2.1", [], {}, [], ["via 192.0.2.1"]],
    [
      "that of the main table first",
      "192.0.2.5/24 via 192.0.2.1",
      [route("0.0.0.0/0 via 192.0.2.2")],
      {},
      [],
      ["via 192.0.2.2"],
    ],
    [
      "that of the config before all",
      "192.0.2.5/24 via 192.0.2.1",
      [route("0.0.0.0/0 via 192.0.2.2")],
      { gateways: { 4: parseIp("192.0.2.3") } },
      [],
      ["via 192.0.2.3"],
    ],
    ["none of the config's other family", "192.0.2.5/24", [], { gateways: { 6: parseIp("::3") } }, [], []],
    [
      "that of the result",
      "192.0.2.5/24",
      [],
      {},
      ["::/0 ::1", "10.0.0.0/8 192.0.2.7", "0.0.0.0/0 192.0.2.4"],
      ["via 192.0.2.4"],
    ],
    [
      "that of the result's only gateway",
      "192.0.2.5/24",
      [],
      {},
      ["10.0.0.0/8 192.0.2.7", "11.0.0.0/8 192.0.2.7", "12.0.0.0/8"],
      ["via 192.0.2.7"],
    ],
    ["none of two that could be meant", "192.0.2.5/24", [], {}, ["10.0.0.0/8 192.0.2.7", "11.0.0.0/8 192.0.2.8"], []],
    ["none outside of the subnet that is no default route's", "192.0.2.5/24", [], {}, ["10.0.0.0/8 203.0.113.7"], []],
  ];
  test.each(defaults)("has as default route %s", (_, address, routes, own, results, want) => {
    const parsed = results.map((text): ResultRoute => {
      const [dst = "", gw] = text.split(" ");
      return { dst: parsePrefix(dst)!, ...(gw === undefined ? {} : { gw: parseIp(gw)! }) };
    });
    const { tables } = plan([address], routes, own, parsed);
    expect(tables[0]).toEqual(want.map((text) => `default (IPv4) ${text}`));
  });

  test("keeps what has no gateway where source hints are wanted, with a source", () => {
    const routes = [subnet, route("0.0.0.0/0 via 192.0.2.1"), route("2001:db8::/64"), route("198.51.100.0/24")];
    const { remove, hints } = plan(["192.0.2.5/24", "2001:db8::5/64"], routes, { keepSubnets: true });
    expect(remove).toEqual(["default (IPv4) via 192.0.2.1", "2001:db8::/64"]);
    expect(hints).toEqual([`2001:db8::/64 src ${parseIp("2001:db8::5")?.value}`]);
  });

  test("gives every route of the main table a place, and each table at most one gateway's default route", () => {
    const texts = [
      "0.0.0.0/0 via 192.0.2.1",
      "0.0.0.0/0 via 203.0.113.1",
      "10.0.0.0/8",
      "10.1.0.0/16 via 198.51.100.1",
    ];
    const all = [...texts, "2001:db8::/64", "::/0 via fe80::1", "192.0.2.0/24 src 192.0.2.5"];
    const addresses = ["192.0.2.5/24 via 192.0.2.9", "198.51.100.5/24", "2001:db8::5/64 via 2001:db8::1"];
    assert(
      property(subarray(all), subarray(addresses, { minLength: 1 }), (some, ips) => {
        const routes = some.map((text) => route(text));
        const { tables, remove } = planTables({ device, ips: ips.map(ip), told, routes }, config);
        expect(tables).toHaveLength(ips.length);
        for (const each of remove) expect(tables.some((specs) => specs.includes(each))).toBe(true);
        for (const [at, specs] of tables.entries()) {
          const { family } = ip(ips[at] ?? "").address.ip;
          expect(specs.every(({ destination }) => destination.ip.family === family)).toBe(true);
          const made = specs.filter((spec) => isDefault(spec.destination) && !routes.includes(spec as Route));
          expect(made.length).toBeLessThanOrEqual(1);
        }
      }),
    );
  });
});

describe("the routes of the result", () => {
  const tables = new Map([
    [100, [subnet, route("0.0.0.0/0 via 192.0.2.1 via 192.0.2.2"), route("10.0.0.0/8", { metric: 5 })]],
    [101, [route("10.0.0.0/8", { metric: 5 })]],
  ]);
  test.each<[string, ResultRoute, (number | undefined)[]]>([
    ["one over a gateway", { dst: parsePrefix("0.0.0.0/0")!, gw: parseIp("192.0.2.2")! }, [100]],
    ["one without", { dst: parsePrefix("0.0.0.0/0")! }, [100]],
    ["one that went to two tables", { dst: parsePrefix("10.1.2.3/8")!, priority: 5 }, [100, 101]],
    ["one of another metric", { dst: parsePrefix("10.0.0.0/8")!, priority: 6 }, [undefined]],
    ["one over another gateway", { dst: parsePrefix("0.0.0.0/0")!, gw: parseIp("192.0.2.3")! }, [undefined]],
    ["one that was in another table before", { dst: parsePrefix("0.0.0.0/0")!, table: 7 }, [7]],
  ])("tell the table of %s", (_, each, want) => {
    expect(tellTables([each], tables).map(({ table }) => table)).toEqual(want);
  });
});
