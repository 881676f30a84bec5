import { expect, test } from "vitest";
import * as fc from "fast-check";
import {
  commentProblem,
  decodeComment,
  decodeRuleWords,
  encodeComment,
  encodeKeyByteOrder,
  encodeRuleWords,
  networkByteOrder,
} from "./userdata.ts";

const table: readonly [string, string][] = [
  ["", "000100"],
  ["x", "00027800"],
  ["a comment", "000a6120636f6d6d656e7400"],
  ["é", "0003c3a900"],
];
test.each(table)("the comment %j is %s", (comment, want) => {
  expect(encodeComment(comment).toHex()).toBe(want);
  expect(decodeComment(Uint8Array.fromHex(want))).toBe(comment);
});

test("every comment that is accepted is read back", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (comment) => {
      fc.pre(comment.isWellFormed() && commentProblem(comment) === undefined);
      expect(decodeComment(encodeComment(comment))).toBe(comment);
    }),
  );
});

const foreign: readonly [string, string, string | undefined][] = [
  ["nothing", "", undefined],
  ["another type only", "010400000001", undefined],
  ["another type before the comment", "0102030400027800", "x"],
  ["a length that lies", "000a7800", undefined],
  ["half a header", "00", undefined],
  ["no NUL at the end", "000178", "x"],
];
test.each(foreign)("userdata with %s", (_, hex, want) => {
  expect(decodeComment(Uint8Array.fromHex(hex))).toBe(want);
});

const words: readonly [string | undefined, string | undefined, string][] = [
  [undefined, undefined, ""],
  ["x", undefined, "00027800"],
  [undefined, "y", "70027900"],
  ["x", "y", "0002780070027900"],
];
test.each(words)("a rule with the comment %j and the tag %j has %j", (comment, tag, want) => {
  expect(encodeRuleWords(comment, tag).toHex()).toBe(want);
  const read = decodeRuleWords(Uint8Array.fromHex(want));
  expect([read.comment, read.tag]).toEqual([comment, tag]);
  expect(decodeComment(Uint8Array.fromHex(want))).toBe(comment);
});

test("random userdata never throws", () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => void decodeComment(bytes)));
});

const refused: readonly [string, string][] = [
  ["é".repeat(65), "a comment of 130 bytes exceeds 128"],
  ['say "x"', "neither double quotes"],
  ["two\nlines", "nor line breaks"],
  ["a\0b", "nor NUL bytes"],
];
test.each(refused)("the comment %j is refused", (comment, want) => {
  expect(commentProblem(comment)).toContain(want);
});

test("keys in network order are marked as nft does", () => {
  expect(encodeKeyByteOrder(networkByteOrder).toHex()).toBe("000402000000");
});
