import { expect, test } from "vitest";
import { linkLocalOf } from "../kit/snapshot.ts";

test.each([
  ["42:d5:38:11:e0:55", "fe80::40d5:38ff:fe11:e055"],
  ["02:00:97:20:4b:7d", "fe80::97ff:fe20:4b7d"],
  ["02:42:00:20:00:0d", "fe80::42:ff:fe20:d"],
])("the link-local address of %s is what iproute2 prints: %s", (mac, address) => {
  expect(linkLocalOf(mac)).toBe(address);
});
