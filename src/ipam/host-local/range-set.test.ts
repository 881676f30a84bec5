import { expect, test } from "vitest";
import { CniError } from "../../cni/error.ts";
import { formatIp, parseIp } from "../../ip/address.ts";
import { parsePrefix } from "../../ip/prefix.ts";
import { completeSet, formatSet, type RangeConfig, rangeFor, type RangeSet, setsOverlap } from "./range-set.ts";

/** [subnet, rangeStart, rangeEnd, gateway] as text. */
type Row = readonly [subnet?: string, rangeStart?: string, rangeEnd?: string, gateway?: string];

const ip = (text: string) => parseIp(text)!;

function configOf([subnet = "", rangeStart = "", rangeEnd = "", gateway = ""]: Row): RangeConfig {
  return {
    ...(subnet !== "" && { subnet: parsePrefix(subnet)! }),
    rangeStart: parseIp(rangeStart),
    rangeEnd: parseIp(rangeEnd),
    gateway: parseIp(gateway),
  };
}

function setOf(...rows: readonly Row[]): RangeSet {
  return completeSet({ ranges: rows.map(configOf), pathOf: (index) => `$.r[${index}]` });
}

test.each<[string, Row, string, string]>([
  ["an IPv4 subnet", ["192.0.2.0/24"], "192.0.2.1-192.0.2.254", "192.0.2.1"],
  ["a smaller IPv4 subnet", ["192.0.2.0/25"], "192.0.2.1-192.0.2.126", "192.0.2.1"],
  ["the smallest IPv4 subnet", ["192.0.2.0/30"], "192.0.2.1-192.0.2.2", "192.0.2.1"],
  ["an IPv6 subnet", ["2001:DB8:1::/64"], "2001:db8:1::1-2001:db8:1:0:ffff:ffff:ffff:ffff", "2001:db8:1::1"],
  ["the smallest IPv6 subnet", ["2001:db8::/126"], "2001:db8::1-2001:db8::3", "2001:db8::1"],
  ["an IPv4-mapped subnet", ["::ffff:192.0.2.0/120"], "192.0.2.1-192.0.2.254", "192.0.2.1"],
  [
    "everything given",
    ["192.0.2.0/24", "192.0.2.40", "192.0.2.50", "192.0.2.254"],
    "192.0.2.40-192.0.2.50",
    "192.0.2.254",
  ],
  ["a range of one address", ["192.0.2.0/24", "192.0.2.9", "192.0.2.9"], "192.0.2.9-192.0.2.9", "192.0.2.1"],
  [
    "the network's own and the broadcast address, when given",
    ["192.0.2.0/24", "192.0.2.0", "192.0.2.255"],
    "192.0.2.0-192.0.2.255",
    "192.0.2.1",
  ],
  ["a gateway outside the subnet", ["192.0.2.0/24", "", "", "198.51.100.1"], "192.0.2.1-192.0.2.254", "198.51.100.1"],
])("%s is completed", (_, row, range, gateway) => {
  const set = setOf(row);
  expect(formatSet(set)).toBe(range);
  expect(formatIp(set[0].gateway)).toBe(gateway);
});

test.each<[string, readonly Row[], string]>([
  ["no range", [], "empty range set (at $.r[0])"],
  ["no subnet", [["", "192.0.2.1"]], "IP <nil> not v4 nor v6 (at $.r[0])"],
  ["a /31", [["192.0.2.0/31"]], "Network 192.0.2.0/31 too small to allocate from (at $.r[0].subnet)"],
  ["a /32", [["192.0.2.0/32"]], "Network 192.0.2.0/32 too small to allocate from (at $.r[0].subnet)"],
  ["a /127", [["2001:db8::/127"]], "Network 2001:db8::/127 too small to allocate from (at $.r[0].subnet)"],
  [
    "host bits",
    [["192.0.2.12/24"]],
    "Network has host bits set. For a subnet mask of length 24 the network address is 192.0.2.0 (at $.r[0].subnet)",
  ],
  [
    "host bits of IPv6",
    [["2001:db8::1/24"]],
    "Network has host bits set. For a subnet mask of length 24 the network address is 2001:d00:: (at $.r[0].subnet)",
  ],
  [
    "a start outside",
    [["192.0.2.0/24", "192.0.3.0"]],
    "RangeStart 192.0.3.0 not in network 192.0.2.0/24 (at $.r[0].rangeStart)",
  ],
  [
    "a start of the other family",
    [["192.0.2.0/24", "::1"]],
    "RangeStart ::1 not in network 192.0.2.0/24 (at $.r[0].rangeStart)",
  ],
  [
    "a start behind the last address",
    [["192.0.2.0/24", "192.0.2.255"]],
    "RangeStart 192.0.2.255 not in network 192.0.2.0/24 (at $.r[0].rangeStart)",
  ],
  [
    "an end outside",
    [["192.0.2.0/24", "", "192.0.4.0"]],
    "RangeEnd 192.0.4.0 not in network 192.0.2.0/24 (at $.r[0].rangeEnd)",
  ],
  [
    "an end before the start",
    [["192.0.2.0/24", "192.0.2.50", "192.0.2.40"]],
    "RangeStart 192.0.2.50 not in network 192.0.2.0/24 (at $.r[0].rangeStart)",
  ],
  [
    "an end before the first address",
    [["192.0.2.0/24", "", "192.0.2.0"]],
    "RangeEnd 192.0.2.0 not in network 192.0.2.0/24 (at $.r[0].rangeEnd)",
  ],
  ["two families", [["192.0.2.0/24"], ["2001:db8::/64"]], "mixed address families (at $.r[1])"],
  [
    "an overlap",
    [["192.0.2.0/24"], ["198.51.100.0/24"], ["192.0.2.0/25"]],
    "subnets 192.0.2.1-192.0.2.254 and 192.0.2.1-192.0.2.126 overlap (at $.r[2])",
  ],
])("a set with %s is refused", (_, rows, message) => {
  let error: unknown;
  try {
    setOf(...rows);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(CniError);
  expect(error).toMatchObject({ code: 7, message });
});

test.each<[Row, string, boolean]>([
  [["192.0.2.0/24"], "192.0.2.1", true],
  [["192.0.2.0/24"], "192.0.2.254", true],
  [["192.0.2.0/24"], "192.0.2.0", false],
  [["192.0.2.0/24"], "192.0.2.255", false],
  [["192.0.2.0/24"], "192.0.3.1", false],
  [["192.0.2.0/24"], "::1", false],
  [["192.0.2.0/24", "192.0.2.40", "192.0.2.50"], "192.0.2.39", false],
  [["192.0.2.0/24", "192.0.2.40", "192.0.2.50"], "192.0.2.40", true],
  [["192.0.2.0/24", "192.0.2.40", "192.0.2.50"], "192.0.2.50", true],
  [["192.0.2.0/24", "192.0.2.40", "192.0.2.50"], "192.0.2.51", false],
  [["2001:db8:1::/64", "2001:db8:1::40", "2001:db8:1::50"], "2001:db8:1::3f", false],
  [["2001:db8:1::/64", "2001:db8:1::40", "2001:db8:1::50"], "2001:db8:1::45", true],
  [["2001:db8:1::/64", "2001:db8:1::40", "2001:db8:1::50"], "2001:db8:1::51", false],
])("range %s holds %s: %s", (row, text, want) => {
  expect(rangeFor(setOf(row), ip(text)) !== undefined).toBe(want);
});

test("the range that holds an address is found in any place of the set", () => {
  const set = setOf(["192.0.2.0/28"], ["192.0.2.32/28"]);
  expect(formatIp(rangeFor(set, ip("192.0.2.40"))!.gateway)).toBe("192.0.2.33");
  expect(rangeFor(set, ip("192.0.2.20"))).toBeUndefined();
});

test.each<[Row, Row, boolean]>([
  [["10.0.0.0/20"], ["10.0.1.0/24"], true],
  [["10.0.0.0/20", "10.0.1.0"], ["10.0.1.0/24"], true],
  [["10.0.0.0/20", "", "10.0.2.50"], ["10.0.1.0/24"], true],
  [["10.0.0.0/20", "10.0.1.50", "10.0.1.60"], ["10.0.1.0/24"], true],
  [["10.0.0.0/20", "10.0.2.0"], ["10.0.1.0/24"], false],
  [["10.0.0.0/20", "10.0.1.0", "10.0.1.10"], ["10.0.1.0/24", "10.0.1.11"], false],
  [["10.0.0.0/20"], ["2001:db8::/64"], false],
  [["2001:db8::/64"], ["2001:db8::/65"], true],
])("%s and %s overlap: %s", (a, b, want) => {
  expect(setsOverlap(setOf(a), setOf(b))).toBe(want);
  expect(setsOverlap(setOf(b), setOf(a))).toBe(want);
});
