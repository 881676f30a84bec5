import * as fc from "fast-check";
import { expect, test } from "vitest";
import { formatJson, formatText } from "./format.ts";
import type { LogEntry, LogFields } from "./logger.ts";

const time = new Date(Date.UTC(2026, 1, 3, 4, 5, 6, 789));
const entry = (message: string, fields: LogFields = {}): LogEntry => ({ time, level: "verbose", message, fields });

test.each([
  ["plain", {}, "2026-02-03T04:05:06Z [verbose] plain"],
  [
    "with fields",
    { pod: "a/b", mtu: 1500, up: true },
    "2026-02-03T04:05:06Z [verbose] with fields pod=a/b mtu=1500 up=true",
  ],
  [
    "quoted",
    { a: "two words", b: "", c: 'say "x"', d: "k=v" },
    '2026-02-03T04:05:06Z [verbose] quoted a="two words" b="" c="say \\"x\\"" d="k=v"',
  ],
  ["absent", { a: undefined, b: 0 }, "2026-02-03T04:05:06Z [verbose] absent b=0"],
  [
    "two\nlines\r\tand \u001b[31mred\u001b[0m",
    {},
    "2026-02-03T04:05:06Z [verbose] two\\nlines\\r\\tand \\u001b[31mred\\u001b[0m",
  ],
  [
    "\u0085\u2028\u2029\u007f\u009b",
    { "a\nb": "c\nd" },
    '2026-02-03T04:05:06Z [verbose] \\u0085\\u2028\\u2029\\u007f\\u009b "a\\nb"="c\\nd"',
  ],
  ['{"json": "stays"}', {}, '2026-02-03T04:05:06Z [verbose] {"json": "stays"}'],
])("%j with %j is one line of text", (message, fields, want) => {
  expect(formatText(entry(message, fields))).toBe(`${want}\n`);
});

test("a JSON line has its time, level and message first, and no field replaces them", () => {
  expect(formatJson(entry("a\nb", { pod: "p", none: undefined, level: "debug", mtu: 1500 }))).toBe(
    '{"time":"2026-02-03T04:05:06.789Z","level":"verbose","msg":"a\\nb","pod":"p","level_":"debug","mtu":1500}\n',
  );
});

const anyText = fc.string({
  unit: fc.oneof(fc.constantFrom("\n", "\r", "\u2028", "\u0085", "\u001b", '"', "\\"), fc.string({ unit: "binary" })),
});
const anyFields = fc.dictionary(anyText, fc.oneof(anyText, fc.integer(), fc.boolean()));

test("whatever the message and the fields hold, an entry is exactly one line without control characters", () => {
  fc.assert(
    fc.property(anyText, anyFields, (message, fields) => {
      for (const line of [formatText(entry(message, fields)), formatJson(entry(message, fields))]) {
        expect(line).toMatch(/^[^\p{Cc}\u2028\u2029]*\n$/u);
      }
    }),
  );
});

test("a JSON line reads back as what was logged", () => {
  fc.assert(
    fc.property(anyText, anyText, (message, value) => {
      expect(JSON.parse(formatJson(entry(message, { field: value })))).toMatchObject({ msg: message, field: value });
    }),
  );
});
