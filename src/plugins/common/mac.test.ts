import { describe, expect, test } from "vitest";
import { chooseMac, equalMac, type MacWish } from "./mac.ts";

const config = (text: string | undefined): MacWish => ({ where: "$.mac", text });
const args = (text: string | undefined): MacWish => ({ where: "CNI_ARGS MAC", text });
const runtime = (text: string | undefined): MacWish => ({ where: "$.runtimeConfig.mac", text });

describe("the MAC that counts", () => {
  test.each<[string, MacWish[], string | undefined]>([
    ["none when nobody asked", [config(undefined), args(undefined)], undefined],
    ["none when all are empty", [config(""), args("")], undefined],
    ["the only one", [config("02:00:00:00:00:01"), args(undefined)], "020000000001"],
    ["the last one", [config("02:00:00:00:00:01"), args("02:00:00:00:00:02")], "020000000002"],
    ["the last that is not empty", [config("02:00:00:00:00:01"), args("")], "020000000001"],
    ["with hyphens or dots", [config("0200.0000.00AA"), runtime("02-00-00-00-00-BB")], "0200000000bb"],
    ["not hindered by a bad one that it overrides", [config("junk"), runtime("02:00:00:00:00:03")], "020000000003"],
  ])("is %s", (_, wishes, want) => {
    expect(chooseMac(wishes)?.toHex()).toBe(want);
  });

  test.each<[string, MacWish, string]>([
    [
      "junk",
      config("zz"),
      "invalid args zz for MAC addr: address zz: invalid MAC address; $.mac: expected six bytes in hexadecimal such as 02:00:5e:10:00:01",
    ],
    [
      "multicast",
      args("01:00:5e:00:00:01"),
      "invalid args 01:00:5e:00:00:01 for MAC addr: address 01:00:5e:00:00:01: invalid MAC address; CNI_ARGS MAC: a multicast address can't be a device's own: the first byte must be even, as in 00:00:5e:00:00:01",
    ],
    [
      "zero",
      runtime("00:00:00:00:00:00"),
      "invalid args 00:00:00:00:00:00 for MAC addr: address 00:00:00:00:00:00: invalid MAC address; $.runtimeConfig.mac: all zeros is no address of a device",
    ],
    [
      "eight bytes",
      config("02:00:00:00:00:00:00:01"),
      "invalid args 02:00:00:00:00:00:00:01 for MAC addr: address 02:00:00:00:00:00:00:01: invalid MAC address; $.mac: expected six bytes for an Ethernet device, found 8",
    ],
  ])("is refused when it is %s", (_, wish, message) => {
    expect(() => chooseMac([wish])).toThrow(expect.objectContaining({ code: 7, message }));
  });
});

test.each([
  ["02:00:5E:10:00:0a", "02-00-5e-10-00-0A", true],
  ["02:00:5e:10:00:0a", "02:00:5e:10:00:0b", false],
  ["unreadable", "Unreadable", true],
])("%s and %s are the same MAC: %s", (a, b, want) => {
  expect(equalMac(a, b)).toBe(want);
});
