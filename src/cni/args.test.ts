import { expect, test } from "vitest";
import { argument, noArgs, parseArgs, refuseUnknownArgs } from "./args.ts";

const parsed: readonly (readonly [
  text: string,
  pairs: readonly (readonly [string, string])[],
  malformed: readonly string[],
])[] = [
  ["", [], []],
  ["K8S_POD_NAME=a", [["K8S_POD_NAME", "a"]], []],
  [
    "A=1;B=2;A=3",
    [
      ["A", "1"],
      ["B", "2"],
      ["A", "3"],
    ],
    [],
  ],
  ["A=", [["A", ""]], []],
  ["A=1;", [["A", "1"]], [""]],
  ["A=b=c;B=1", [["B", "1"]], ["A=b=c"]],
  ["A", [], ["A"]],
];

test.each(parsed)("%j is read as %j, malformed %j", (text, pairs, malformed) => {
  expect(parseArgs(text)).toEqual({ pairs, malformed, ignoreUnknown: false });
});

test.each([
  ["IgnoreUnknown=1", true],
  ["IgnoreUnknown=TRUE", true],
  ["IgnoreUnknown=0;IgnoreUnknown=true", true],
  ["IgnoreUnknown=true;IgnoreUnknown=0", false],
  ["ignoreunknown=1", false],
])("%s sets IgnoreUnknown to %s", (text, want) => {
  expect(parseArgs(text).ignoreUnknown).toBe(want);
});

test("of a repeated key the last value counts, and letter case matters", () => {
  const args = parseArgs("MAC=a;MAC=b");
  expect(argument(args, "MAC")).toBe("b");
  expect(argument(args, "mac")).toBeUndefined();
  expect(argument(noArgs, "MAC")).toBeUndefined();
});

test.each(["", "MAC=a", "MAC=a;IP=1.2.3.4", "IgnoreUnknown=1;K8S_POD_NAME=x", "IgnoreUnknown=0;MAC=a"])(
  "%j is fine for a plugin that knows MAC and IP",
  (text) => {
    expect(() => refuseUnknownArgs(parseArgs(text), ["MAC", "IP"])).not.toThrow();
  },
);

test.each([
  ["FOO=bar;MAC=a;BAZ=1", `ARGS: unknown args ["FOO=bar","BAZ=1"]`],
  ["K8S_POD_NAME=x", `ARGS: unknown args ["K8S_POD_NAME=x"]`],
  ["IgnoreUnknown=1;FOO=a=b", `ARGS: invalid pair "FOO=a=b"`],
])("%j is refused by a plugin that knows MAC", (text, message) => {
  expect(() => refuseUnknownArgs(parseArgs(text), ["MAC"])).toThrow(expect.objectContaining({ code: 4, message }));
});
