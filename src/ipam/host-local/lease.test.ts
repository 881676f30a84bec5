import { expect, test } from "vitest";
import { describeHolder, formatHolder, type Holder, holderText, isLeaseName, parseHolder } from "./lease.ts";

test.each<[string, string, Holder | undefined]>([
  ["the format of today", "ctr1\r\neth0", { containerId: "ctr1", ifName: "eth0" }],
  ["white space around it", " \n ctr1\r\neth0\r\n ", { containerId: "ctr1", ifName: "eth0" }],
  ["the zero bytes of a power cut behind it", "ctr1\r\neth0\0\0", { containerId: "ctr1", ifName: "eth0" }],
  ["a line feed alone", "ctr1\neth0", { containerId: "ctr1", ifName: "eth0" }],
  ["the old format", "ctr1\n", { containerId: "ctr1", ifName: undefined }],
  ["nothing", "", undefined],
  ["white space only", " \r\n\t", undefined],
  ["zero bytes only", "\0\0\0", undefined],
  ["a person's note", "# the printer", undefined],
  ["several words", "the printer", undefined],
  ["three lines", "ctr1\r\neth0\r\nmore", undefined],
])("a lease with %s is read", (_, content, want) => {
  expect(parseHolder(holderText(content))).toEqual(want);
});

test("what is written is what upstream writes: CR LF between, no line end behind", () => {
  expect(formatHolder({ containerId: "ctr1", ifName: "eth0" })).toBe("ctr1\r\neth0");
  expect(formatHolder({ containerId: "ctr1", ifName: undefined })).toBe("ctr1");
});

test("people are told the holder in words", () => {
  expect(describeHolder("ctr1\r\neth0")).toBe("container ctr1, interface eth0");
  expect(describeHolder("ctr1")).toBe("container ctr1");
  expect(describeHolder("# the printer")).toBe('"# the printer"');
});

test.each([
  ["192.0.2.1", true],
  ["2001:db8::1", true],
  ["::", true],
  ["lock", false],
  ["last_reserved_ip.0", false],
  [".polynic", false],
  ["cafe", false],
  ["192.0.2.1.swp", false],
  ["", false],
])("the name %s is a lease's: %s", (name, want) => {
  expect(isLeaseName(name)).toBe(want);
});
