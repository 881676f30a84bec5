import { expect, test } from "vitest";
import { formatIp } from "../../ip/address.ts";
import { parseMac } from "../../ip/mac.ts";
import { linkLocalOf } from "./link-local.ts";

test.each([
  ["02:00:5e:10:00:01", "fe80::5eff:fe10:1"],
  ["c6:4f:36:18:02:d1", "fe80::c44f:36ff:fe18:2d1"],
])("the link-local address of %s is %s", (mac, want) => {
  const found = linkLocalOf({ kind: "macvlan", mac: parseMac(mac)! });
  expect(found && formatIp(found)).toBe(want);
});

test("a hardware address that is not Ethernet's has none", () => {
  expect(linkLocalOf({ kind: "", mac: new Uint8Array(0) })).toBeUndefined();
  expect(linkLocalOf({ kind: "", mac: new Uint8Array(20) })).toBeUndefined();
});

test("that of an ipvlan is not foreseen: its MAC is its master's", () => {
  expect(linkLocalOf({ kind: "ipvlan", mac: parseMac("02:00:5e:10:00:01")! })).toBeUndefined();
});
