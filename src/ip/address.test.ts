import * as fc from "fast-check";
import { Address4, Address6 } from "ip-address";
import { expect, test } from "vitest";
import * as address from "./address.ts";
import { anyIp, anyV4, anyV6 } from "./arbitrary.test-data.ts";

const { parseIp, formatIp } = address;

function read(text: string): address.Ip {
  const ip = parseIp(text);
  if (ip === undefined) throw new Error(`${text} is no address`);
  return ip;
}

// What net.ParseIP(text).String() prints in Go 1.26; undefined where ParseIP returns nil.
test.each([
  ["0.0.0.0", "0.0.0.0"],
  ["10.1.2.3", "10.1.2.3"],
  ["255.255.255.255", "255.255.255.255"],
  ["256.0.0.1", undefined],
  ["010.0.0.1", undefined],
  ["10.0.0.00", undefined],
  ["10.0.0", undefined],
  ["10.0.0.1.2", undefined],
  ["10..0.1", undefined],
  [".10.0.0.1", undefined],
  ["10.0.0.1.", undefined],
  ["0x0a.0.0.1", undefined],
  ["167772161", undefined],
  [" 10.0.0.1", undefined],
  ["10.0.0.1\n", undefined],
  ["10.0.0.1/24", undefined],
  ["10.0.0.1%eth0", undefined],
  ["-1.0.0.1", undefined],
  ["1.2.3.٤", undefined],
  ["", undefined],
  ["junk", undefined],
  ["::", "::"],
  ["::1", "::1"],
  ["1::", "1::"],
  ["0:0:0:0:0:0:0:0", "::"],
  ["2001:DB8::1", "2001:db8::1"],
  ["2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"],
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
  ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
  ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
  ["1::2:3:4:5:6:7:8", undefined],
  ["1:2:3:4:5:6:7:8::", undefined],
  ["1:2:3:4:5:6:7", undefined],
  ["1:2:3:4:5:6:7:8:9", undefined],
  ["1::2::3", undefined],
  [":::", undefined],
  ["::::", undefined],
  [":", undefined],
  [":1", undefined],
  ["1:", undefined],
  [":1::2", undefined],
  ["1::2:", undefined],
  ["12345::", undefined],
  ["00001::", undefined],
  ["g::", undefined],
  ["fe80::1%eth0", undefined],
  ["fe80::1%", undefined],
  ["[::1]", undefined],
  ["::1/64", undefined],
  ["::ffff:10.1.2.3", "10.1.2.3"],
  ["::FFFF:0a01:0203", "10.1.2.3"],
  ["0:0:0:0:0:ffff:10.1.2.3", "10.1.2.3"],
  ["::10.1.2.3", "::a01:203"],
  ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  ["1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"],
  ["1:2:3:4:5:6::1.2.3.4", undefined],
  ["1:2:3:4:5:1.2.3.4", undefined],
  ["1:2:3:4:5:6:7:1.2.3.4", undefined],
  ["1.2.3.4::", undefined],
  ["::1.2.3.4:5", undefined],
  ["::1.2.3", undefined],
  ["::01.2.3.4", undefined],
  ["::ffff:256.2.3.4", undefined],
])("%j reads as %j", (text, want) => {
  const ip = parseIp(text);
  expect(ip && formatIp(ip)).toBe(want);
});

test("every address reads back from its own text, and the oracle prints the same", () => {
  fc.assert(
    fc.property(anyV4, (ip) => {
      expect(parseIp(formatIp(ip))).toEqual(ip);
      expect(formatIp(ip)).toBe(Address4.fromBigInt(ip.value).correctForm());
    }),
  );
  fc.assert(
    fc.property(anyV6, (ip) => {
      expect(parseIp(formatIp(ip))).toEqual(ip);
      const oracle = Address6.fromBigInt(ip.value);
      expect(formatIp(ip)).toBe(oracle.correctForm());
      expect(parseIp(oracle.canonicalForm())).toEqual(ip);
      expect(parseIp(oracle.canonicalForm().toUpperCase())).toEqual(ip);
    }),
  );
});

test("an address with an IPv4 tail reads as the oracle reads it", () => {
  fc.assert(
    fc.property(anyV6, (ip) => {
      const text = Address6.fromBigInt(ip.value).to4in6();
      expect(parseIp(text)?.value).toBe(new Address6(text).bigInt());
    }),
  );
});

test("text made of an address' own characters is accepted exactly when the oracle accepts it", () => {
  const texts = fc.string({
    unit: fc.constantFrom(..."0123456789abcdef:::::.....".split("")),
    minLength: 2,
    maxLength: 20,
  });
  fc.assert(
    fc.property(texts, (text) => {
      const isValid = text.includes(":") ? Address6.isValid(text) : Address4.isValid(text);
      expect(parseIp(text) !== undefined).toBe(isValid);
    }),
    { numRuns: 2000 },
  );
});

test("bytes and back is the same address", () => {
  fc.assert(
    fc.property(anyIp, (ip) => {
      expect(address.ipFromBytes(address.ipToBytes(ip))).toEqual(ip);
    }),
  );
});

test("bytes are in network order, wherever they lie in their buffer", () => {
  expect([...address.ipToBytes(read("10.1.2.3"))]).toEqual([10, 1, 2, 3]);
  expect([...address.ipToBytes(read("2001:db8::ff"))]).toEqual([
    0x20,
    1,
    0xd,
    0xb8,
    ...Array.from({ length: 11 }, () => 0),
    0xff,
  ]);
  const packet = new Uint8Array([9, 9, 255, 254, 253, 252, 9]);
  expect(formatIp(address.ipFromBytes(packet.subarray(2, 6)))).toBe("255.254.253.252");
  expect(() => address.ipFromBytes(packet)).toThrow("expected an IP address of 4 or 16 bytes, got 7");
});

test("a mapped address that came as 16 bytes stays family 6 and goes back as it came", () => {
  const mapped = address.ipFromBytes(new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1, 2, 3]));
  expect(mapped.family).toBe(6);
  expect(formatIp(mapped)).toBe("::ffff:10.1.2.3");
  expect(address.ipToBytes(mapped).length).toBe(16);
});

test.each([
  ["10.0.0.255", 1n, "10.0.1.0"],
  ["10.0.1.0", -1n, "10.0.0.255"],
  ["255.255.255.255", 1n, undefined],
  ["0.0.0.0", -1n, undefined],
  ["::ffff:ffff:ffff:ffff", 1n, "0:0:0:1::"],
  ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1n, undefined],
  ["::", -1n, undefined],
])("%s plus %s is %s", (text, n, want) => {
  const sum = address.addIp(read(text), n);
  expect(sum && formatIp(sum)).toBe(want);
});

test("sorting puts IPv4 first and numbers in order, not texts", () => {
  const sorted = ["::2", "10.0.0.10", "::1", "10.0.0.9", "9.0.0.0"].map(read).sort(address.compareIp).map(formatIp);
  expect(sorted).toEqual(["9.0.0.0", "10.0.0.9", "10.0.0.10", "::1", "::2"]);
});

test("the same number in two families is not the same address", () => {
  expect(address.equalIp(read("0.0.0.1"), read("::1"))).toBe(false);
  expect(address.equalIp(read("::1"), read("0::1"))).toBe(true);
});

// Columns: loopback, multicast, unspecified, link-local unicast, global unicast, as the methods of Go's net.IP answer.
test.each([
  ["127.0.0.1", [true, false, false, false, false]],
  ["127.255.0.9", [true, false, false, false, false]],
  ["128.0.0.0", [false, false, false, false, true]],
  ["224.0.0.1", [false, true, false, false, false]],
  ["239.255.255.255", [false, true, false, false, false]],
  ["240.0.0.1", [false, false, false, false, true]],
  ["0.0.0.0", [false, false, true, false, false]],
  ["0.0.0.1", [false, false, false, false, true]],
  ["169.254.7.7", [false, false, false, true, false]],
  ["255.255.255.255", [false, false, false, false, false]],
  ["10.0.0.1", [false, false, false, false, true]],
  ["::1", [true, false, false, false, false]],
  ["::2", [false, false, false, false, true]],
  ["ff02::1", [false, true, false, false, false]],
  ["::", [false, false, true, false, false]],
  ["fe80::1", [false, false, false, true, false]],
  ["febf::1", [false, false, false, true, false]],
  ["fec0::1", [false, false, false, false, true]],
  ["fd00::1", [false, false, false, false, true]],
])("%s is of the kinds %j", (text, want) => {
  const { isLoopback, isMulticast, isUnspecified, isLinkLocalUnicast, isGlobalUnicast } = address;
  const tests = [isLoopback, isMulticast, isUnspecified, isLinkLocalUnicast, isGlobalUnicast];
  expect(tests.map((is) => is(read(text)))).toEqual(want);
});
