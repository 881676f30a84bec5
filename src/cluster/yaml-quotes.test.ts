import { describe, expect, test } from "vitest";
import { indentQuoted } from "./yaml-quotes.ts";

const read = (text: string): unknown => Bun.YAML.parse(indentQuoted(text));

describe("quoted values that go on with too little indentation", () => {
  test.each<[string, string, unknown]>([
    [
      "as in the documents that users follow",
      `spec:
  config: '{
  "type": "ipvlan",
  "master": "ens224", # a comment
  "ipam": {
    "type": "whereabouts"
   }
}'
  more: 1
`,
      {
        spec: {
          config: '{ "type": "ipvlan", "master": "ens224", # a comment "ipam": { "type": "whereabouts" } }',
          more: 1,
        },
      },
    ],
    ["at the left edge", "a: '{\n}'\nb: 2\n", { a: "{ }", b: 2 }],
    ["in double quotes", 'a:\n  b: "{\n \\"c\\": 1,\n\\"d\\": 2 }"\n', { a: { b: '{ "c": 1, "d": 2 }' } }],
    ["with quotes inside", "a:\n  b: 'it''s\nnot ''over''\nyet'\n", { a: { b: "it's not 'over' yet" } }],
    ["with a paragraph inside", "a:\n  b: 'one\n\ntwo'\n", { a: { b: "one\ntwo" } }],
    ["in a list", "a:\n  - b: '{\n}'\n    c: 3\n", { a: [{ b: "{ }", c: 3 }] }],
    ["behind a value of one line", "a: 'x'\nb: '{\n}'\n", { a: "x", b: "{ }" }],
  ])("are read %s", (_, text, want) => {
    expect(() => Bun.YAML.parse(text)).toThrow();
    expect(read(text)).toEqual(want);
  });
});

test.each([
  "a: 'x'\nb: \"y\"\nc: 3 # it's a comment\n",
  'spec:\n  config: \'{\n      "type": "macvlan"\n    }\'\n',
  // What looks like an open quote stands in a block value.
  "spec:\n  config: |\n    b: '{\n    c\n  d: 1\n",
  "spec:\n  config: >-\n    b: '{\n\n    c\nd: 1\n",
  "a: it's plain\nb: 1\n",
  "",
])("%j is right already, and stays", (text) => {
  expect(indentQuoted(text)).toBe(text);
});

test("a quote that nobody closes stays an error", () => {
  expect(() => read("a: '{\nb: 1\n")).toThrow();
});
