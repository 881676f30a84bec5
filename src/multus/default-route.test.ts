import { describe, expect, test } from "vitest";
import { parseNetwork } from "../cni/network-list.ts";
import { emptyResult, type Result } from "../cni/result.ts";
import { formatIp, parseIp } from "../ip/address.ts";
import { formatPrefix, parsePrefix } from "../ip/prefix.ts";
import { type Attached, chooseDefaultRoutes, settledResult } from "./default-route.ts";

/** A result with these routes, "10.0.0.0/8 via 10.0.0.1". */
function resultWith(...routes: readonly string[]): Result {
  return {
    ...emptyResult,
    routes: routes.map((text) => {
      const [dst = "", gw] = text.split(" via ");
      return { dst: parsePrefix(dst)!, ...(gw === undefined ? {} : { gw: parseIp(gw)! }) };
    }),
  };
}

function attached(ifName: string, defaultRoute: readonly string[] | undefined, ...routes: readonly string[]): Attached {
  const attachment = {
    name: `default/${ifName}`,
    origin: "a test",
    ifName,
    isDefault: ifName === "eth0",
    list: parseNetwork('{"cniVersion":"1.0.0","name":"x","type":"x"}'),
    capabilityArgs: {},
    args: "",
    ...(defaultRoute === undefined ? {} : { defaultRoute: defaultRoute.map((text) => parseIp(text)!) }),
  };
  return { attachment, result: resultWith(...routes) };
}

const eth0 = attached("eth0", undefined, "0.0.0.0/0 via 10.1.0.1", "::/0 via fd00:1::1");

const choices: [name: string, networks: readonly Attached[], want: string[]][] = [
  ["nobody speaks", [eth0, attached("net1", undefined)], []],
  ["a v4 gateway leaves IPv6 alone", [eth0, attached("net1", ["10.2.0.1"])], ["4 net1 10.2.0.1"]],
  ["a v6 gateway leaves IPv4 alone", [eth0, attached("net1", ["fd00:2::1"])], ["6 net1 fd00:2::1"]],
  ["both", [eth0, attached("net1", ["fd00:2::1", "10.2.0.1"])], ["4 net1 10.2.0.1", "6 net1 fd00:2::1"]],
  [
    "one each",
    [eth0, attached("net1", ["fd00:2::1"]), attached("net2", ["10.3.0.1"])],
    ["4 net2 10.3.0.1", "6 net1 fd00:2::1"],
  ],
  ["an empty list keeps what there is", [eth0, attached("net1", [], "::/0 via fd00:2::1")], ["6 net1"]],
  ["an empty list without routes keeps nothing", [eth0, attached("net1", [], "10.0.0.0/8 via 10.2.0.1")], []],
  [
    "an empty list of the default network",
    [attached("eth0", [], "0.0.0.0/0"), attached("net1", undefined, "0.0.0.0/0")],
    ["4 eth0"],
  ],
  [
    "a gateway outranks an empty list before it",
    [attached("eth0", [], "0.0.0.0/0"), attached("net1", ["10.2.0.1"])],
    ["4 net1 10.2.0.1"],
  ],
];

test.each(choices)("%s", (_, networks, want) => {
  const told = chooseDefaultRoutes(networks).map(({ family, ifName, gateway }) =>
    [family, ifName, ...(gateway === undefined ? [] : [formatIp(gateway)])].join(" "),
  );
  expect(told).toEqual(want);
});

describe("the results once a choice is carried out", () => {
  const routesAfter = (networks: readonly Attached[]): string[][] => {
    const chosen = chooseDefaultRoutes(networks);
    return networks.map(({ attachment, result }) =>
      chosen
        .reduce((settled, choice) => settledResult(choice, attachment, settled), result)
        .routes.map(({ dst, gw }) => `${formatPrefix(dst)}${gw === undefined ? "" : ` via ${formatIp(gw)}`}`),
    );
  };

  test("say that the gateway's network has the route, and the others have none of that family", () => {
    const own = attached("net1", ["10.2.0.9"], "0.0.0.0/0 via 10.2.0.1", "10.0.0.0/8 via 10.2.0.1");
    expect(routesAfter([eth0, own])).toEqual([
      ["::/0 via fd00:1::1"],
      ["10.0.0.0/8 via 10.2.0.1", "0.0.0.0/0 via 10.2.0.9"],
    ]);
  });

  test("lose ::/0 too (BUG 2.4: Multus looks for ::0/0)", () => {
    expect(routesAfter([eth0, attached("net1", ["fd00:2::1"])])).toEqual([
      ["0.0.0.0/0 via 10.1.0.1"],
      ["::/0 via fd00:2::1"],
    ]);
  });

  test("keep the routes of an empty list, and its alone", () => {
    const keeper = attached("net1", [], "0.0.0.0/0 via 10.2.0.1", "::/0 via fd00:2::1");
    expect(routesAfter([eth0, keeper])).toEqual([[], ["0.0.0.0/0 via 10.2.0.1", "::/0 via fd00:2::1"]]);
  });

  test("are the very same objects where nothing changes", () => {
    const other = attached("net1", undefined, "10.0.0.0/8");
    const [choice] = chooseDefaultRoutes([attached("net2", ["10.9.0.1"])]);
    expect(settledResult(choice!, other.attachment, other.result)).toBe(other.result);
  });
});
