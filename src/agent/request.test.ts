import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  environmentLengthOffset,
  headerBytes,
  lengthOffset,
  namespaceOffset,
  podOffset,
  requestBytesMax,
  requestMark,
  rootOffset,
  umaskOffset,
} from "./protocol.ts";
import { decodeRequest, identityOf, lengthOf } from "./request.ts";

/** A request as a caller lays it out. */
function encode(environment: string, rest: string, umask = 0o22): Uint8Array {
  const text = new TextEncoder().encode(environment + rest);
  const bytes = new Uint8Array(headerBytes + text.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, requestMark, true);
  view.setUint32(lengthOffset, bytes.length, true);
  view.setUint32(umaskOffset, umask, true);
  view.setUint32(environmentLengthOffset, new TextEncoder().encode(environment).length, true);
  for (const [index, offset] of [namespaceOffset, rootOffset, podOffset].entries()) {
    view.setBigUint64(offset, BigInt(index), true);
    view.setBigUint64(offset + 8, BigInt(index + 40), true);
  }
  bytes.set(text, headerBytes);
  return bytes;
}

test("a request comes back as it was sent", () => {
  const environment = "CNI_COMMAND=ADD\0EMPTY=\0CNI_ARGS=A=B;C=D\0ODD=ü\0";
  expect(decodeRequest(encode(environment, 'build\0macvlan\0{"a":\0', 0o77))).toEqual({
    build: "build",
    name: "macvlan",
    environment: { CNI_COMMAND: "ADD", EMPTY: "", CNI_ARGS: "A=B;C=D", ODD: "ü" },
    input: new TextEncoder().encode('{"a":\0'),
    umask: 0o77,
    namespace: "0:40",
    root: "1:41",
    pod: "2:42",
  });
});

test("a variable may have the name of what every object has", () => {
  const request = decodeRequest(encode("__proto__=x\0constructor=y\0", "build\0multus\0"));
  expect(Object.entries(request?.environment ?? {})).toEqual([
    ["__proto__", "x"],
    ["constructor", "y"],
  ]);
});

test("what has no name is no variable", () => {
  expect(decodeRequest(encode("=x\0lonely\0\0A=1\0", "build\0\0"))).toMatchObject({
    name: "",
    environment: { A: "1" },
  });
});

describe("what is no request", () => {
  const whole = encode("A=1\0", "build\0macvlan\0");
  const changed = (offset: number, value: number): Uint8Array => {
    const bytes = whole.slice();
    new DataView(bytes.buffer).setUint32(offset, value, true);
    return bytes;
  };
  test.each<[string, Uint8Array]>([
    ["nothing", new Uint8Array(0)],
    ["a header alone", whole.subarray(0, headerBytes)],
    ["one without its end", whole.subarray(0, whole.length - 1)],
    ["one with more behind it", Uint8Array.of(...whole, 0)],
    ["another program's", changed(0, 0x0a0d0a0d)],
    ["another protocol's", changed(0, requestMark + 0x01_000000)],
    ["one that says it is longer than any", changed(lengthOffset, requestBytesMax + 1)],
    ["one whose environment is longer than all of it", changed(environmentLengthOffset, whole.length)],
    ["one whose environment's length is negative", changed(environmentLengthOffset, 0xffff_ffff)],
    ["one without a name", encode("A=1\0", "build\0")],
    ["one whose name has no end", encode("A=1\0", "build\0name")],
  ])("%s", (_, bytes) => {
    expect(decodeRequest(bytes)).toBeUndefined();
  });
});

test("no bytes make it throw, and none are taken for more than there is", () => {
  const header = encode("A=1\0", "b\0n").subarray(0, 16);
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 700 }),
    fc.uint8Array({ minLength: 500, maxLength: 700 }).map((bytes) => (bytes.set(header), bytes)),
  );
  fc.assert(
    fc.property(anything, (bytes) => {
      const request = decodeRequest(bytes);
      const length = lengthOf(bytes);
      return request === undefined || (length === bytes.length && typeof request.name === "string");
    }),
  );
});

test("an identity is the device and the inode, however large", () => {
  expect(identityOf({ device: 4n, inode: 2n ** 64n - 1n })).toBe("4:18446744073709551615");
});
