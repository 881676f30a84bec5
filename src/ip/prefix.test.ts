import * as fc from "fast-check";
import { Address4, Address6 } from "ip-address";
import { expect, test } from "vitest";
import { formatIp, type Ip, parseIp, widthOf } from "./address.ts";
import { anyIp, anyV4, anyV6 } from "./arbitrary.test-data.ts";
import * as prefix from "./prefix.ts";

const { parsePrefix, formatPrefix } = prefix;

function read(text: string): prefix.Prefix {
  const value = parsePrefix(text);
  if (value === undefined) throw new Error(`${text} is no prefix`);
  return value;
}

const withBits = (ip: fc.Arbitrary<Ip>) =>
  ip.chain((ip) => fc.integer({ min: 0, max: widthOf(ip.family) }).map((bits) => ({ ip, bits })));

// Columns: text, the prefix as printed, its network; undefined where Go's net.ParseCIDR fails (or we do on purpose).
test.each([
  ["10.0.0.5/24", "10.0.0.5/24", "10.0.0.0/24"],
  ["10.0.0.5/0", "10.0.0.5/0", "0.0.0.0/0"],
  ["10.0.0.5/32", "10.0.0.5/32", "10.0.0.5/32"],
  ["10.0.0.5/024", "10.0.0.5/24", "10.0.0.0/24"],
  ["2001:DB8::5/64", "2001:db8::5/64", "2001:db8::/64"],
  ["2001:db8::5/128", "2001:db8::5/128", "2001:db8::5/128"],
  ["::/0", "::/0", "::/0"],
  ["::ffff:10.0.0.5/120", "10.0.0.5/24", "10.0.0.0/24"],
  ["::ffff:10.0.0.5/96", "10.0.0.5/0", "0.0.0.0/0"],
  ["::ffff:10.0.0.5/24", undefined, undefined],
  ["10.0.0.5/33", undefined, undefined],
  ["2001:db8::/129", undefined, undefined],
  ["10.0.0.5", undefined, undefined],
  ["10.0.0.5/", undefined, undefined],
  ["/24", undefined, undefined],
  ["10.0.0.5/-1", undefined, undefined],
  ["10.0.0.5/+24", undefined, undefined],
  ["10.0.0.5/24 ", undefined, undefined],
  ["10.0.0.5/24/24", undefined, undefined],
  ["10.0.0.5/2.4", undefined, undefined],
  ["10.0.0.5/1e1", undefined, undefined],
  ["10.0.0.5/255.255.255.0", undefined, undefined],
  ["10.0.0/24", undefined, undefined],
  ["fe80::1%eth0/64", undefined, undefined],
  ["", undefined, undefined],
])("%j reads as %j in the network %j", (text, want, network) => {
  const value = parsePrefix(text);
  expect(value && formatPrefix(value)).toBe(want);
  expect(value && formatPrefix(prefix.networkOf(value))).toBe(network);
});

test("first and last address are those of the oracle", () => {
  fc.assert(
    fc.property(withBits(anyV4), (value) => {
      const oracle = new Address4(formatPrefix(value));
      expect(formatIp(prefix.networkOf(value).ip)).toBe(oracle.startAddress().correctForm());
      expect(formatIp(prefix.lastIp(value))).toBe(oracle.endAddress().correctForm());
    }),
  );
  fc.assert(
    fc.property(withBits(anyV6), (value) => {
      const oracle = new Address6(formatPrefix(value));
      expect(prefix.networkOf(value).ip.value).toBe(oracle.startAddress().bigInt());
      expect(prefix.lastIp(value).value).toBe(oracle.endAddress().bigInt());
    }),
  );
});

test("membership is what the oracle says, near the borders too", () => {
  fc.assert(
    fc.property(withBits(anyV4), fc.bigInt({ min: -2n, max: 2n }), anyV4, (value, offset, other) => {
      const near = BigInt.asUintN(32, prefix.lastIp(value).value + offset);
      for (const ip of [{ family: 4, value: near } as const, other]) {
        const want = new Address4(formatIp(ip)).isInSubnet(new Address4(formatPrefix(value)));
        expect(prefix.containsIp(value, ip)).toBe(want);
      }
    }),
  );
});

test("two networks overlap exactly when one holds the other's first address", () => {
  fc.assert(
    fc.property(withBits(anyIp), withBits(anyIp), (a, b) => {
      const want = prefix.containsIp(a, prefix.networkOf(b).ip) || prefix.containsIp(b, prefix.networkOf(a).ip);
      expect(prefix.overlaps(a, b)).toBe(want);
      expect(prefix.overlaps(a, a)).toBe(true);
    }),
  );
});

test("every prefix reads back from its own text", () => {
  fc.assert(
    fc.property(withBits(anyIp), (value) => {
      expect(prefix.equalPrefix(read(formatPrefix(value)), value)).toBe(true);
    }),
  );
});

test("a prefix holds nothing of the other family", () => {
  expect(prefix.containsIp(read("0.0.0.0/0"), { family: 6, value: 1n })).toBe(false);
  expect(prefix.overlaps(read("0.0.0.0/0"), read("::/0"))).toBe(false);
});

test.each([
  ["10.0.0.5/24", true, false],
  ["10.0.0.0/24", false, false],
  ["0.0.0.0/0", false, true],
  ["::/0", false, true],
  ["10.0.0.5/32", false, false],
])("%s: host bits %s, default %s", (text, hasHostBits, isDefault) => {
  expect(prefix.hasHostBits(read(text))).toBe(hasHostBits);
  expect(prefix.isDefault(read(text))).toBe(isDefault);
});

test("one address alone is a /32 or a /128", () => {
  for (const want of ["10.0.0.5/32", "2001:db8::5/128"]) {
    const ip = parseIp(want.replace(/\/.*/, ""));
    expect(ip && formatPrefix(prefix.hostPrefix(ip))).toBe(want);
  }
});

test("equal prefixes have the same host bits too", () => {
  expect(prefix.equalPrefix(read("10.0.0.5/24"), read("10.0.0.5/24"))).toBe(true);
  expect(prefix.equalPrefix(read("10.0.0.5/24"), read("10.0.0.0/24"))).toBe(false);
});
