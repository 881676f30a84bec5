import { expect, test } from "vitest";
import { plainWords } from "./plain-words.ts";

test.each([["add"], ["check"], ["del"]])("%s with a network and a namespace is plain", (verb) => {
  expect(plainWords([verb, "multi", "/run/netns/x"])).toEqual([verb, "multi", "/run/netns/x"]);
});

test.each([
  ["no words", []],
  ["a verb alone", ["add"]],
  ["no namespace", ["add", "multi"]],
  ["an empty name", ["add", "", "/run/netns/x"]],
  ["an option in place of a network", ["add", "--help", "/run/netns/x"]],
  ["an option in place of a namespace", ["check", "multi", "-o"]],
  ["a word too many", ["del", "multi", "/run/netns/x", "y"]],
  ["a verb that needs no namespace", ["gc", "multi", "/run/netns/x"]],
])("the command line's reader has %s", (_, words) => {
  expect(plainWords(words)).toBeUndefined();
});
