import * as fc from "fast-check";
import { expect, test } from "vitest";
import { JsonError } from "./error.ts";
import * as json from "./struct.ts";
import { parse } from "./value.ts";

const even = (text: string) => (/^\d*[02468]$/.test(text) ? Number(text) : undefined);
const rangeEntries = {
  subnet: json.checked(even, "an even number"),
  gateway: json.optional(json.checkedOrEmpty(even, "an even number")),
};
const config = json.struct({
  type: json.text(),
  mtu: json.optional(json.integer({ min: 0, max: 65535 }), 1500),
  mode: json.optional(json.picklist(["bridge", "private"])),
  isGateway: json.optional(json.flag()),
  capabilities: json.optional(json.mapOf(json.flag())),
  ipam: json.optional(
    json.struct({
      ranges: json.optional(json.array(json.array(json.struct(rangeEntries)))),
      servers: json.optional(json.stringList()),
    }),
  ),
  prevResult: json.optional(json.anyObject()),
  raw: json.optional(json.anyValue()),
});

function failure(value: unknown, path?: string): JsonError {
  try {
    json.decode(config, value, path);
  } catch (error) {
    if (error instanceof JsonError) return error;
    throw error;
  }
  throw new Error("it was decoded");
}

test("what fits comes back typed, defaults filled in, unknown names left out", () => {
  const value = {
    type: "bridge",
    mode: "private",
    isGateway: false,
    capabilities: { ips: true },
    ipam: {
      ranges: [
        [
          { subnet: "2", gateway: "" },
          { subnet: "4", gateway: "6" },
        ],
      ],
      servers: ["a"],
    },
    prevResult: { cniVersion: "1.0.0", More: [null] },
    raw: [1, null],
    comment: "for people",
  };
  const decoded: json.Infer<typeof config> = json.decode(config, value);
  expect(decoded).toEqual({
    type: "bridge",
    mtu: 1500,
    mode: "private",
    isGateway: false,
    capabilities: { ips: true },
    ipam: {
      ranges: [
        [
          { subnet: 2, gateway: undefined },
          { subnet: 4, gateway: 6 },
        ],
      ],
      servers: ["a"],
    },
    prevResult: { cniVersion: "1.0.0", More: [null] },
    raw: [1, null],
  });
  expect(decoded.ipam?.ranges?.[0]?.[1]?.gateway).toBe(6);
});

test.each([
  ["any letter case", '{"TYPE": "a", "Mtu": 9}', { type: "a", mtu: 9 }],
  ["the last spelling counts", '{"type": "a", "mtu": 1, "MTU": 2}', { type: "a", mtu: 2 }],
  ["the last spelling counts, exact or not", '{"type": "a", "MTU": 2, "mtu": 1}', { type: "a", mtu: 1 }],
  ["null changes nothing", '{"type": "a", "mtu": 2, "MTU": null}', { type: "a", mtu: 2 }],
  ["null alone is absence", '{"type": "a", "mtu": null, "mode": null}', { type: "a", mtu: 1500 }],
  [
    "letters that fold to ASCII",
    '{"type": "a", "i\u017fGateway": true, "\u212aind": 1}',
    { type: "a", mtu: 1500, isGateway: true },
  ],
  ["__proto__ is an unknown name", '{"type": "a", "__proto__": {"mtu": 5}}', { type: "a", mtu: 1500 }],
  ["an integer may be written as a float", '{"type": "a", "mtu": 1500.0}', { type: "a", mtu: 1500 }],
])("names and null are read as Go reads them: %s", (_, text, want) => {
  expect(json.decode(config, parse(text).value)).toEqual(want);
});

test.each([
  [[], "$", "expected an object, found an array"],
  [null, "$", "expected an object, found null"],
  ["text", "$", 'expected an object, found "text"'],
  [{}, "$.type", "expected this key, found nothing"],
  [{ type: null }, "$.type", "expected this key, found nothing"],
  [{ type: 5 }, "$.type", "expected a string, found 5"],
  [{ type: "a", mtu: "1500" }, "$.mtu", 'expected an integer from 0 to 65535, found "1500"'],
  [{ type: "a", MTU: 1.5 }, "$.mtu", "expected an integer from 0 to 65535, found 1.5"],
  [{ type: "a", mtu: -1 }, "$.mtu", "expected an integer from 0 to 65535, found -1"],
  [{ type: "a", mode: "vepa" }, "$.mode", 'expected one of "bridge", "private", found "vepa"'],
  [{ type: "a", isGateway: "true" }, "$.isGateway", 'expected true or false, found "true"'],
  [{ type: "a", capabilities: { "a b": 1 } }, '$.capabilities["a b"]', "expected true or false, found 1"],
  [{ type: "a", capabilities: [] }, "$.capabilities", "expected an object, found an array"],
  [{ type: "a", ipam: { ranges: {} } }, "$.ipam.ranges", "expected an array, found an object"],
  [{ type: "a", ipam: { ranges: [[{}]] } }, "$.ipam.ranges[0][0].subnet", "expected this key, found nothing"],
  [
    { type: "a", ipam: { ranges: [[{ subnet: "2" }, { subnet: "3" }]] } },
    "$.ipam.ranges[0][1].subnet",
    'expected an even number, found "3"',
  ],
  [
    { type: "a", ipam: { ranges: [[{ subnet: "" }]] } },
    "$.ipam.ranges[0][0].subnet",
    'expected an even number, found ""',
  ],
  [
    { type: "a", ipam: { ranges: [[{ subnet: 2 }]] } },
    "$.ipam.ranges[0][0].subnet",
    "expected an even number, found 2",
  ],
  [{ type: "a", ipam: { servers: ["a", null] } }, "$.ipam.servers[1]", "expected a string, found null"],
  [{ type: "a", mode: "x".repeat(99) }, "$.mode", `expected one of "bridge", "private", found "${"x".repeat(40)}…"`],
  [{ type: "a", mode: "x\ny" }, "$.mode", 'expected one of "bridge", "private", found "x\\ny"'],
  [{ type: "a", prevResult: "x" }, "$.prevResult", 'expected an object, found "x"'],
])("%j is refused at %s", (value, path, message) => {
  const error = failure(value);
  expect(error.message).toBe(`${path}: ${message}`);
  expect(error).toMatchObject({ code: "JSON_TYPE", path });
});

test("the path begins where the value itself stands", () => {
  expect(failure({}, "$.plugins[1]").message).toBe("$.plugins[1].type: expected this key, found nothing");
});

test.each([
  [{ min: 1 }, "an integer of at least 1"],
  [{ max: 0 }, "an integer of at most 0"],
])("integer(%j) says what it wants", (limits, want) => {
  expect(() => json.decode(json.integer(limits), 0.5)).toThrow(`$: expected ${want}, found 0.5`);
});

test("an integer too large to be exact is refused rather than rounded", () => {
  expect(() => json.decode(json.integer(), 2 ** 53)).toThrow("expected an integer, found 9007199254740992");
});

test.each([
  [{ Type: "a" }, "a"],
  [{ type: "a", TYPE: "b" }, "b"],
  [{ type: "a", TYPE: null }, "a"],
  [{ type: null }, undefined],
  [{}, undefined],
])("getField finds the type of %j: %j", (object, want) => {
  expect(json.getField(object, "type")).toBe(want);
});

test("a name is found in whatever letter case it is written", () => {
  const cased = fc
    .array(fc.boolean(), { minLength: 9, maxLength: 9 })
    .map((upper) =>
      upper
        .map((isUpper, i) => (isUpper ? "isGateway".charAt(i).toUpperCase() : "isGateway".charAt(i).toLowerCase()))
        .join(""),
    );
  fc.assert(
    fc.property(cased, (name) => {
      expect(json.decode(config, { type: "a", [name]: true }).isGateway).toBe(true);
      expect(json.getField({ [name]: 1 }, "ISgateway")).toBe(1);
    }),
  );
});

test("either takes what fits one of its schemas, and complains in the words of the second", () => {
  const schema = json.struct({ ids: json.either(json.mapOf(json.stringList()), json.stringList()) });
  expect(json.decode(schema, { ids: { 0: ["a"] } })).toEqual({ ids: { 0: ["a"] } });
  expect(json.decode(schema, { ids: ["a"] })).toEqual({ ids: ["a"] });
  expect(() => json.decode(schema, { ids: "a" })).toThrow('$.ids: expected an array, found "a"');
});

test("a map passes over a name that would change what its object is", () => {
  const decoded = json.decode(json.mapOf(json.anyValue()), parse('{"__proto__": {"a": 1}, "b": 2}').value);
  expect(decoded).toEqual({ b: 2 });
  expect("a" in decoded).toBe(false);
});
