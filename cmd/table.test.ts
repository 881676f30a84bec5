import { expect, test } from "vitest";
import { formatTable } from "./table.ts";
import { colours } from "./terminal.ts";

interface Row {
  readonly name: string;
  readonly count: number;
}

const columns = [
  { title: "NAME", cell: ({ name }: Row) => name },
  { title: "COUNT", cell: ({ count }: Row) => String(count), isNumber: true },
  { title: "NOTE", cell: ({ count }: Row) => (count > 9 ? "many\nor more" : "") },
];

test.each<[string, Row[], string]>([
  ["no rows", [], ""],
  ["numbers to the right", [{ name: "a", count: 5 }], "NAME  COUNT  NOTE\na         5\n"],
  [
    "long cells",
    [{ name: "longer", count: 123456 }],
    "NAME     COUNT  NOTE\nlonger  123456  many\n                or more\n",
  ],
  ["wide characters", [{ name: "網網網", count: 1 }], "NAME    COUNT  NOTE\n網網網      1\n"],
])("a table with %s", (_, rows, want) => {
  expect(formatTable(columns, rows, colours(false))).toBe(want);
});

test("only the titles of a table are coloured, and only when asked", () => {
  const rows = [{ name: "a", count: 1 }];
  expect(formatTable(columns, rows, colours(true))).toBe("\x1b[1mNAME  COUNT  NOTE\x1b[0m\na         1\n");
});
