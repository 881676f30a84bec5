import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyIp } from "../ip/arbitrary.test-data.ts";
import { type Ip, parseIp } from "../ip/address.ts";
import { networkOf, type Prefix, parsePrefix } from "../ip/prefix.ts";
import {
  isPoolName,
  poolName,
  prefixOfPoolName,
  rangeOfPoolName,
  reservationName,
  scopedReservationName,
} from "./names.ts";

const network = (text: string): Prefix => parsePrefix(text)!;
const ip = (text: string): Ip => parseIp(text)!;

describe("the name of a pool", () => {
  const rows = [
    { range: "192.168.2.0/24", network: "", want: "192.168.2.0-24" },
    { range: "192.168.2.225/28", network: "", want: "192.168.2.224-28" },
    { range: "2001::/116", network: "", want: "2001---116" },
    { range: "2001:DB8::/64", network: "blue", want: "blue-2001-db8---64" },
    { range: "10.0.0.0/26", network: "", node: "node-1", want: "node-1-10.0.0.0-26" },
    { range: "10.0.0.64/26", network: "blue", node: "node-1", want: "blue-node-1-10.0.0.64-26" },
  ];
  test.each(rows)("of $range in network '$network' is $want", ({ range, network: net, node, want }) => {
    const identity = { range: network(range), network: net, ...(node === undefined ? {} : { node }) };
    expect(poolName(identity)).toBe(want);
    expect(isPoolName(want)).toBe(true);
  });

  test("of ::/64 and of a network in capitals is none that Kubernetes takes", () => {
    expect(isPoolName(poolName({ range: network("::/64"), network: "" }))).toBe(false);
    expect(isPoolName(poolName({ range: network("10.0.0.0/24"), network: "Blue" }))).toBe(false);
    expect(isPoolName(poolName({ range: network("::/64"), network: "blue" }))).toBe(true);
  });
});

describe("the name of a reservation", () => {
  const rows = [
    { address: "10.0.0.5", network: "", want: "10.0.0.5" },
    { address: "10.0.0.5", network: "blue", want: "blue-10.0.0.5" },
    { address: "2001:db8::5", network: "", want: "2001-db8--5" },
    // Issue 293: a name must not end with "-".
    { address: "2001:db8::", network: "", want: "2001-db8--0" },
  ];
  test.each(rows)("of $address in network '$network' is $want", ({ address, network: net, want }) => {
    expect(reservationName(ip(address), net)).toBe(want);
  });

  test("within a pool is never that of an address", () => {
    fc.assert(
      fc.property(anyIp, anyIp, fc.constantFrom("", "blue", "10.0.0.0"), (first, second, net) => {
        const range = { ip: first, bits: first.family === 4 ? 24 : 64 };
        const scoped = scopedReservationName(poolName({ range, network: net }), second);
        expect(scoped).not.toBe(reservationName(second, net));
        expect(scoped).not.toBe(reservationName(second, ""));
      }),
    );
  });
});

test.each([
  ["10.0.0.0-24", "10.0.0.0/24", ""],
  ["blue-10.0.0.0-24", "10.0.0.0/24", "blue"],
  ["blue-node-1-10.0.0.0-26", "10.0.0.0/26", "blue-node-1"],
  ["2001-db8---64", "2001:db8::/64", ""],
  ["10.0.0.0-25", "10.0.0.0/24", undefined],
  ["mine", "10.0.0.0/24", undefined],
])("before the range in the name of pool %s of %s stands %j", (name, range, want) => {
  expect(prefixOfPoolName(name, network(range))).toBe(want);
});

describe("the range of a pool's name", () => {
  test("is that which the name was made of", () => {
    fc.assert(
      fc.property(anyIp, fc.nat(128), fc.constantFrom("", "blue", "10.0.0.0"), (start, length, before) => {
        const range = networkOf({ ip: start, bits: start.family === 4 ? length % 33 : length });
        expect(rangeOfPoolName(poolName({ range, network: before }), before)).toEqual(range);
      }),
    );
  });

  test.each([
    ["blue-10.0.0.0-24", ""],
    ["10.0.0.0-24", "blue"],
    ["blue", "blue"],
    ["blue-", "blue"],
    ["node-1-10.0.0.0-26", ""],
    ["10.0.0.0", ""],
    ["10.0.0.0-33", ""],
  ])("of %s behind '%s' is none", (name, before) => {
    expect(rangeOfPoolName(name, before)).toBeUndefined();
  });
});
