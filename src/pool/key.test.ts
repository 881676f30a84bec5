import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatIp, parseIp } from "../ip/address.ts";
import { anyIp } from "../ip/arbitrary.test-data.ts";
import { networkOf, parsePrefix } from "../ip/prefix.ts";
import { addressOfKey, keyOf, largestKey, parsePoolRange } from "./key.ts";

describe("the key of an address", () => {
  const rows = [
    { range: "10.0.0.0/24", address: "10.0.0.1", want: "1" },
    { range: "10.0.0.0/16", address: "10.0.1.0", want: "256" },
    { range: "10.0.0.0/24", address: "10.0.1.0", want: undefined },
    { range: "2001:db8::/64", address: "2001:db8::ffff", want: "65535" },
    { range: "2001:db8::/64", address: "2001:db8::7fff:ffff:ffff:ffff", want: "9223372036854775807" },
    // Issue 403: whereabouts can't read what is larger, and would erase it.
    { range: "2001:db8::/64", address: "2001:db8::8000:0:0:0", want: undefined },
    { range: "2001:db8::/32", address: "2001:db8:0:1::", want: undefined },
    { range: "2001:db8::/64", address: "10.0.0.1", want: undefined },
  ];
  test.each(rows)("$address in $range is $want", ({ range, address, want }) => {
    expect(keyOf(parsePrefix(range)!, parseIp(address)!)).toBe(want);
  });

  test("leads back to the address", () => {
    fc.assert(
      fc.property(anyIp, fc.nat({ max: 128 }), (ip, length) => {
        const range = networkOf({ ip, bits: ip.family === 4 ? length % 33 : length });
        const key = keyOf(range, ip);
        if (key === undefined) expect(ip.value - range.ip.value).toBeGreaterThan(largestKey);
        else expect(formatIp(addressOfKey(range, key)!)).toBe(formatIp(ip));
      }),
    );
  });
});

test.each(["", "-1", "+1", "01", "1.0", "x", "256", "9223372036854775808", "18446463705355360228"])(
  "%j is the key of no address of 10.0.0.0/24",
  (key) => {
    expect(addressOfKey(parsePrefix("10.0.0.0/24")!, key)).toBeUndefined();
  },
);

test("a pool's range with host bits is refused", () => {
  expect(parsePoolRange("10.0.0.5/24")).toBeUndefined();
  expect(parsePoolRange("10.0.0.0")).toBeUndefined();
  expect(parsePoolRange("10.0.0.0/24")).toEqual(parsePrefix("10.0.0.0/24"));
});
