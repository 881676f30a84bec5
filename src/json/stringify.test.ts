import * as fc from "fast-check";
import { expect, test } from "vitest";
import { stringify } from "./stringify.ts";
import { parse } from "./value.ts";

// What Go 1.26 prints with json.Marshal of the same data.
test.each([
  [{ a: "<b> & </b>" }, '{"a":"\\u003cb\\u003e \\u0026 \\u003c/b\\u003e"}'],
  [{ "<k>": 1 }, '{"\\u003ck\\u003e":1}'],
  ["\u2028 and \u2029", '"\\u2028 and \\u2029"'],
  [
    'tab\t nl\n cr\r quote" back\\ bell\u0007 del\u007f é €',
    '"tab\\t nl\\n cr\\r quote\\" back\\\\ bell\\u0007 del\u007f é €"',
  ],
  [{ a: undefined, b: null }, '{"b":null}'],
  [{ z: 1, a: { y: 1, b: 2 } }, '{"z":1,"a":{"y":1,"b":2}}'],
  [{ a: [], b: {} }, '{"a":[],"b":{}}'],
  [[1, 0.1, 1e21, 1e-7, true, false, null], "[1,0.1,1e+21,1e-7,true,false,null]"],
  ["", '""'],
])("%j prints as %s", (value, want) => {
  expect(stringify(value)).toBe(want);
});

test("an indented document has one member a line and empty brackets closed up", () => {
  expect(stringify({ a: [1, { b: {} }], c: [] }, { indent: 2 })).toBe(
    '{\n  "a": [\n    1,\n    {\n      "b": {}\n    }\n  ],\n  "c": []\n}',
  );
});

test("what is printed reads back the same", () => {
  const options = fc.record({ indent: fc.integer({ min: 0, max: 4 }) });
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: "binary" }), options, (value, options) => {
      const text = stringify(value, options);
      // Not `value` itself: JSON.stringify writes -0 as 0.
      expect(parse(text).value).toEqual(JSON.parse(JSON.stringify(value)));
      expect(text).not.toMatch(/[<>&\u2028\u2029]/);
    }),
  );
});

test("what is no JSON value is refused", () => {
  expect(() => stringify(undefined)).toThrow("expected a JSON value to print, found undefined");
  expect(() => stringify(() => 1)).toThrow("expected a JSON value to print, found function");
});
