import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { acknowledgementError } from "./acknowledgement.ts";
import { isNetlinkError } from "./error.ts";
import { decodeMessages, encodeMessages, request } from "./message.ts";

const addLink = request("add link net1", 16, 0x600, (body) => {
  body.struct(16);
  body.text(3, "net1");
});

describe("encodeMessages (byte tables of a little-endian machine)", () => {
  test("header, fixed struct and attributes", () => {
    expect(encodeMessages([addLink], 7, 0, 4).toHex()).toBe(
      `2c000000100005060700000000000000${"00".repeat(16)}090003006e65743100000000`,
    );
  });

  test("each message of a batch starts aligned and counts on", () => {
    const odd = { label: "odd", type: 20, flags: 0, body: new Uint8Array([1, 2, 3, 4, 5]) };
    expect(encodeMessages([odd, odd], 0xffff_ffff, 1, 4).toHex()).toBe(
      "1500000014000100ffffffff000000000102030405000000150000001400050000000000000000000102030405000000",
    );
  });
});

describe("decodeMessages", () => {
  test("gives back what was encoded", () => {
    const message = fc.record({
      label: fc.constant("x"),
      type: fc.integer({ min: 0, max: 0xffff }),
      flags: fc.integer({ min: 0, max: 0xffff }),
      body: fc.uint8Array({ maxLength: 100 }),
    });
    fc.assert(
      fc.property(fc.array(message), (requests) => {
        const messages = decodeMessages(encodeMessages(requests, 1, 0, 0), "x");
        expect(messages.map(({ type, flags, body }) => ({ label: "x", type, flags, body }))).toEqual(
          requests.map((each) => ({ ...each, flags: each.flags | 1 })),
        );
      }),
    );
  });

  const hostile: readonly [string, string, string][] = [
    ["a header cut off", "1000000003000000010000", "11 stray bytes behind the last message"],
    ["a length below the header", "0f000000030000000100000000000000", "a message claims 15 bytes where 16 are left"],
    ["a length behind the end", "11000000030000000100000000000000", "a message claims 17 bytes where 16 are left"],
    ["a length of 4 GiB", "ffffffff030000000100000000000000", "a message claims 4294967295 bytes where 16 are left"],
  ];
  test.each(hostile)("%s is EBADMSG", (_, hex, want) => {
    expect(() => decodeMessages(Uint8Array.fromHex(hex), "get link lo")).toThrow(`get link lo: bad message (${want})`);
  });

  test("random bytes throw nothing but the typed error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decodeMessages(bytes, "x");
        } catch (error) {
          expect(isNetlinkError(error, "EBADMSG")).toBe(true);
        }
      }),
    );
  });
});

describe("acknowledgementError", () => {
  const answer = (flags: number, hex: string, type = 2) => ({
    type,
    flags,
    sequence: 1,
    port: 0,
    body: Uint8Array.fromHex(hex.replaceAll(" ", "")),
  });
  const header = "2c000000 1000 0506 01000000 00000000";
  const eexist = "efffffff";
  const einval = "eaffffff";
  // NLMSGERR_ATTR_MSG "no", NLMSGERR_ATTR_OFFS 32: where the attribute IFLA_IFNAME of the request begins.
  const remarks = "07000100 6e6f0000 08000200 20000000";

  const table: readonly [string, ReturnType<typeof answer>, string | undefined][] = [
    ["errno 0 is success", answer(0x100, `00000000 ${header}`), undefined],
    ["an errno alone", answer(0x100, `${eexist} ${header}`), "add link net1: file exists"],
    [
      "capped, with remarks",
      answer(0x300, `${eexist} ${header} ${remarks}`),
      "add link net1: file exists (kernel: no; attribute 3)",
    ],
    [
      "the whole request echoed before the remarks",
      answer(0x200, `${einval} ${header} ${"00".repeat(28)} ${remarks}`),
      "add link net1: invalid argument (kernel: no; attribute 3)",
    ],
    [
      "a missing attribute",
      answer(0x300, `${einval} ${header} 08000500 12000000`),
      "add link net1: invalid argument (attribute 18)",
    ],
    [
      "an offset outside the request",
      answer(0x300, `${einval} ${header} 08000200 ffffff00`),
      "add link net1: invalid argument",
    ],
    [
      "remarks cut off leave the errno",
      answer(0x300, `${einval} ${header} 09000100 6e`),
      "add link net1: invalid argument",
    ],
    ["a lying echo length leaves the errno", answer(0x200, `${einval} ffffff7f`), "add link net1: invalid argument"],
    [
      "an errno of a dump's end",
      answer(0x202, `fbffffff ${remarks}`, 3),
      "add link net1: input/output error (kernel: no; attribute 3)",
    ],
    ["a positive result of a dump", answer(0x2, "08000000", 3), undefined],
    ["an unknown errno", answer(0x100, `f4fdffff ${header}`), "add link net1: E524"],
    ["no errno at all", answer(0, "0000"), "add link net1: bad message (the acknowledgement is cut off)"],
  ];
  test.each(table)("%s", (_, message, want) => {
    expect(acknowledgementError(message, addLink)?.message).toBe(want);
  });

  test("the parts of the error can be told apart", () => {
    const error = acknowledgementError(answer(0x300, `${eexist} ${header} ${remarks}`), addLink);
    expect(error).toMatchObject({
      operation: "add link net1",
      errno: 17,
      code: "EEXIST",
      kernelText: "no",
      offset: 32,
      attribute: 3,
    });
    expect([isNetlinkError(error), isNetlinkError(error, "EEXIST"), isNetlinkError(error, "ENOENT", "EEXIST")]).toEqual(
      [true, true, true],
    );
    expect([isNetlinkError(error, "ENOENT"), isNetlinkError(new Error("x"))]).toEqual([false, false]);
  });

  test("random acknowledgements never throw", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff }), fc.uint8Array({ maxLength: 120 }), (flags, body) => {
        acknowledgementError({ type: 2, flags, sequence: 1, port: 0, body }, addLink);
        acknowledgementError({ type: 3, flags, sequence: 1, port: 0, body }, addLink);
      }),
    );
  });
});
