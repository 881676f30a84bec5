import * as fc from "fast-check";
import { expect, test } from "vitest";
import { JsonError } from "./error.ts";
import { parse, parseIfJson } from "./value.ts";

function failure(text: string): JsonError {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof JsonError) return error;
    throw error;
  }
  throw new Error(`${text} was read`);
}

test("plain JSON is read without a warning", () => {
  expect(parse(' {"a": [1, 2.5e3, "x", null, true]} ')).toEqual({
    value: { a: [1, 2500, "x", null, true] },
    warnings: [],
  });
});

test("comments of both kinds are ignored, with a warning each", () => {
  const text = `# for the storage network
{
  "type": "ipvlan", // the driver
  "master": "ens224", # defines the node interface
  "note": "a # and a // inside a string stay"
} // end`;
  const { value, warnings } = parse(text);
  expect(value).toEqual({ type: "ipvlan", master: "ens224", note: "a # and a // inside a string stay" });
  expect(warnings).toEqual([
    'line 1, column 1: ignored the comment "# for the storage network", which JSON does not allow',
    'line 3, column 21: ignored the comment "// the driver", which JSON does not allow',
    'line 4, column 23: ignored the comment "# defines the node interface", which JSON does not allow',
    'line 6, column 3: ignored the comment "// end", which JSON does not allow',
  ]);
});

test("a comment ends where the next member begins when YAML has folded the lines into one", () => {
  const text =
    '{ "type": "ipvlan", "master": "enp2342",  # defines the node interface that this pod interface would map to. ' +
    '"mode": "l2", // the mode "ipam": { "type": "whereabouts" } # done }';
  const { value, warnings } = parse(text);
  expect(value).toEqual({ type: "ipvlan", master: "enp2342", mode: "l2", ipam: { type: "whereabouts" } });
  expect(warnings.length).toBe(3);
  expect(warnings[0]).toContain('"# defines the node interface that this pod interface would map to."');
});

test("a member that is commented out never comes back to life", () => {
  const error = failure('{ "master": "eth0", # "mtu": 1500, "mode": "l2" }');
  expect(error.message).toBe(
    "line 1, column 50: expected the name of a member of $ in double quotes, found the end of the text; the comment at line 1, " +
      "column 21 hides the rest, as happens when YAML folds a quoted config into one line: remove the comment or write the " +
      "config as a block (config: |)",
  );
});

test.each([
  ["", "$", "line 1, column 1: expected a JSON value for $, found the end of the text"],
  ["nul", "$", "line 1, column 1: expected a JSON value for $, found 'n'"],
  ['{"a": 1} x', "$", "line 1, column 10: expected nothing more after the end of the JSON value, found 'x'"],
  ['{"a": 1}{}', "$", "line 1, column 9: expected nothing more after the end of the JSON value, found '{'"],
  [
    '{\n  "ipam": {\n    "type": "x" "y": 1',
    "$.ipam.type",
    "line 3, column 17: expected ',' or '}' after $.ipam.type, found '\"'",
  ],
  ['{"a": [1, 2', "$.a[1]", "line 1, column 12: expected ',' or ']' after $.a[1], found the end of the text"],
  ['{"a": 1,}', "$", "line 1, column 9: expected the name of a member of $ in double quotes, found '}'"],
  ["{a: 1}", "$", "line 1, column 2: expected the name of a member of $ in double quotes, found 'a'"],
  ['{"a" 1}', "$.a", "line 1, column 6: expected ':' after the name $.a, found '1'"],
  ['{"a": [1,]}', "$.a[1]", "line 1, column 10: expected a JSON value for $.a[1], found ']'"],
  ['{"a b": 01}', '$["a b"]', "line 1, column 10: expected ',' or '}' after $[\"a b\"], found '1'"],
  ['{"a": +1}', "$.a", "line 1, column 7: expected a JSON value for $.a, found '+'"],
  ['{"a": "x', "$.a", "line 1, column 9: expected '\"' at the end of the string in $.a, found the end of the text"],
  [
    '{"a": "x\ny"}',
    "$.a",
    "line 1, column 9: expected no line break or control character inside the string in $.a, found U+000A",
  ],
  ['{"a": "\\x"}', "$.a", "line 1, column 8: expected an escape such as \\n or \\u00e9 in $.a, found '\\'"],
  ["\uFEFF{}", "$", "line 1, column 1: expected a JSON value for $, found U+FEFF"],
  ["{'a': 1}", "$", "line 1, column 2: expected the name of a member of $ in double quotes, found '''"],
  ["/* no */ 1", "$", "line 1, column 1: expected a JSON value for $, found '/'"],
  [
    "# only a comment",
    "$",
    /^line 1, column 17: expected a JSON value for \$, found the end of the text; the comment at line 1, column 1 hides/,
  ],
])("%j fails at %s", (text, path, message) => {
  const error = failure(text);
  if (typeof message === "string") expect(error.message).toBe(message);
  else expect(error.message).toMatch(message);
  expect(error).toMatchObject({ code: "JSON_SYNTAX", path });
});

test("of duplicate names the last one counts, with comments too", () => {
  expect(parse('{"a": 1, "a": 2}').value).toEqual({ a: 2 });
  expect(parse('{"a": 1, "a": 2} # x').value).toEqual({ a: 2 });
});

test("a member called __proto__ is a member like any other", () => {
  const { value } = parse('{"__proto__": {"polluted": true}} # x');
  expect(Object.keys(value as object)).toEqual(["__proto__"]);
  expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
});

test.each([
  ["arrays", "[", "]"],
  ["objects", '{"a":', "}"],
])("%s may nest 512 levels and no more", (_, open, close) => {
  const nest = (levels: number, inner: string) => open.repeat(levels) + inner + close.repeat(levels);
  for (const inner of ["1", '"[[[{{{"']) {
    expect(parse(nest(512, inner)).warnings).toEqual([]);
    expect(parse(`${nest(512, inner)} # x`).warnings.length).toBe(1);
    for (const text of [nest(513, inner), `${nest(513, inner)} # x`, nest(200_000, inner)]) {
      const error = failure(text);
      expect(error.code).toBe("JSON_DEPTH");
      expect(error.message).toContain("expected at most 512 levels of nesting");
    }
  }
});

test("an unfinished text nested without end is an error too", () => {
  expect(failure("[".repeat(1_000_000)).code).toBe("JSON_DEPTH");
});

test("a document of many brackets that is not deep is read", () => {
  const rows = Array.from({ length: 2000 }, (_, id) => ({ id, tags: ["[", '{"\\', "\\"] }));
  expect(parse(JSON.stringify(rows))).toEqual({ value: rows, warnings: [] });
});

const comment = fc
  .tuple(fc.constantFrom("#", "//"), fc.string({ unit: "binary" }))
  .map(([start, text]) => `${start}${text.replaceAll(/[\n\r]/g, " ")}\n`);

test("comments between any two tokens change nothing but the warnings", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.array(comment, { minLength: 1, maxLength: 5 }), (value, comments) => {
      const plain = JSON.stringify(value, null, 1);
      const tokens = plain.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
      let inserted = 0;
      const text = tokens.map((token) => `${comments[inserted++ % comments.length]}${token}`).join(" ");
      const parsed = parse(text);
      // Not `value` itself: JSON.stringify writes -0 as 0.
      expect(parsed.value).toEqual(JSON.parse(plain));
      expect(parsed.warnings.length).toBe(inserted);
    }),
  );
});

test("text of JSON's own characters is read exactly when JSON.parse reads it, and no error has two lines", () => {
  const tokens = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"a"',
    '"',
    "\\",
    "1",
    "-",
    ".",
    "0",
    "e",
    "true",
    "nul",
    " ",
    "\n",
    "\u0001",
  ];
  const texts = fc.array(fc.constantFrom(...tokens), { maxLength: 12 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(texts, (text) => {
      let isJson = true;
      try {
        JSON.parse(text);
      } catch {
        isJson = false;
      }
      if (isJson) expect(parse(text).warnings).toEqual([]);
      else expect(failure(text).message).not.toContain("\n");
    }),
    { numRuns: 3000 },
  );
});

test("what is no JSON can be asked for without an error", () => {
  expect(parseIfJson('{"a": 1} # with a comment')).toEqual({ a: 1 });
  expect(parseIfJson("null")).toBeNull();
  for (const text of ["", "{", "{]", "[".repeat(600)]) expect(parseIfJson(text)).toBeUndefined();
});
