import * as fc from "fast-check";
import { expect, test } from "vitest";
import { formatIp, type Ip, parseIp } from "./address.ts";
import { parsePrefix } from "./prefix.ts";
import * as range from "./range.ts";

function ip(text: string): Ip {
  const value = parseIp(text);
  if (value === undefined) throw new Error(`${text} is no address`);
  return value;
}

function read(text: string): range.IpRange {
  const [first = "", last = first] = text.split("-");
  const value = range.rangeBetween(ip(first), ip(last));
  if (value === undefined) throw new Error(`${text} is no range`);
  return value;
}

/** One round. */
function walk(texts: readonly string[], after?: string): string[] {
  const [first, ...more] = texts.map(read);
  const ranges: range.IpRanges = [first!, ...more];
  const textOf = ({ index, ip }: range.RangeStep) => `${index}:${formatIp(ip)}`;
  let step = range.firstStep(ranges, after === undefined ? undefined : ip(after));
  const steps = [textOf(step)];
  for (;;) {
    step = range.nextStep(ranges, step);
    if (textOf(step) === steps[0]) return steps;
    steps.push(textOf(step));
  }
}

// Columns: subnet, what hosts may have (undefined: too small), the whole network, its size.
test.each([
  ["10.0.0.0/24", "10.0.0.1-10.0.0.254", "10.0.0.0-10.0.0.255", 256n],
  ["10.0.0.77/24", "10.0.0.1-10.0.0.254", "10.0.0.0-10.0.0.255", 256n],
  ["10.0.0.0/30", "10.0.0.1-10.0.0.2", "10.0.0.0-10.0.0.3", 4n],
  ["10.0.0.0/31", undefined, "10.0.0.0-10.0.0.1", 2n],
  ["10.0.0.0/32", undefined, "10.0.0.0-10.0.0.0", 1n],
  ["2001:db8::/64", "2001:db8::1-2001:db8::ffff:ffff:ffff:ffff", "2001:db8::-2001:db8::ffff:ffff:ffff:ffff", 2n ** 64n],
  ["2001:db8::/126", "2001:db8::1-2001:db8::3", "2001:db8::-2001:db8::3", 4n],
  ["2001:db8::/127", undefined, "2001:db8::-2001:db8::1", 2n],
])("%s gives hosts %s of %s", (text, hosts, whole, size) => {
  const subnet = parsePrefix(text);
  if (subnet === undefined) throw new Error(text);
  const usable = range.hostRange(subnet);
  expect(usable && range.formatRange(usable)).toBe(hosts);
  expect(range.formatRange(range.rangeOfPrefix(subnet))).toBe(whole);
  expect(range.rangeSize(range.rangeOfPrefix(subnet))).toBe(size);
});

test("a range has one family and runs upwards", () => {
  expect(range.rangeBetween(ip("10.0.0.2"), ip("10.0.0.1"))).toBeUndefined();
  expect(range.rangeBetween(ip("10.0.0.1"), ip("::ff"))).toBeUndefined();
});

test.each([
  ["10.0.0.1-10.0.0.9", "10.0.0.9-10.0.0.20", true],
  ["10.0.0.1-10.0.0.9", "10.0.0.10-10.0.0.20", false],
  ["10.0.0.1-10.0.0.9", "10.0.0.3-10.0.0.4", true],
  ["0.0.0.1-0.0.0.9", "::1-::9", false],
])("%s and %s overlap: %s", (a, b, want) => {
  expect(range.rangesOverlap(read(a), read(b))).toBe(want);
  expect(range.rangesOverlap(read(b), read(a))).toBe(want);
});

test.each([
  ["10.0.0.1", true],
  ["10.0.0.9", true],
  ["10.0.0.0", false],
  ["10.0.0.10", false],
  ["::a00:5", false],
])("10.0.0.1-10.0.0.9 holds %s: %s", (text, want) => {
  expect(range.rangeContains(read("10.0.0.1-10.0.0.9"), ip(text))).toBe(want);
});

const two = ["10.0.0.1-10.0.0.3", "10.0.1.1-10.0.1.2"];
test.each([
  ["nothing", undefined, ["0:10.0.0.1", "0:10.0.0.2", "0:10.0.0.3", "1:10.0.1.1", "1:10.0.1.2"]],
  ["an address outside", "10.9.9.9", ["0:10.0.0.1", "0:10.0.0.2", "0:10.0.0.3", "1:10.0.1.1", "1:10.0.1.2"]],
  ["one in the middle", "10.0.0.2", ["0:10.0.0.3", "1:10.0.1.1", "1:10.0.1.2", "0:10.0.0.1", "0:10.0.0.2"]],
  ["the last of a range", "10.0.0.3", ["1:10.0.1.1", "1:10.0.1.2", "0:10.0.0.1", "0:10.0.0.2", "0:10.0.0.3"]],
  ["the very last", "10.0.1.2", ["0:10.0.0.1", "0:10.0.0.2", "0:10.0.0.3", "1:10.0.1.1", "1:10.0.1.2"]],
])("a walk behind %s goes once round", (_, after, want) => {
  expect(walk(two, after)).toEqual(want);
});

test("a walk ends at the top of the address space", () => {
  expect(walk(["255.255.255.254-255.255.255.255"], "255.255.255.255")).toEqual([
    "0:255.255.255.254",
    "0:255.255.255.255",
  ]);
});

test("a walk meets every address exactly once wherever it begins", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(sizes, fc.nat(), (sizes, pick) => {
      const ranges = sizes.map((size, i) => `10.0.${i}.1-10.0.${i}.${size}`);
      const all = walk(ranges);
      const after = all[pick % all.length] ?? "";
      const round = walk(ranges, after.slice(2));
      expect(round.at(-1)).toBe(after);
      expect([...round].sort()).toEqual([...all].sort());
    }),
  );
});

test("the first steps into a huge IPv6 range come at once", () => {
  const first = range.firstStep([read("2001:db8::-2001:db8:ffff::")], ip("2001:db8::ff"));
  expect(formatIp(first.ip)).toBe("2001:db8::100");
});
