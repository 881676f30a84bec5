import type { Colours } from "./terminal.ts";

/** One column: what a row shows in it. Numbers stand to the right. */
export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  readonly isNumber?: boolean;
}

/**
 * Rows as aligned text with a line of titles, two blanks between columns and none at line ends. A cell of several lines makes its row
 * as many lines high. No rows: "".
 */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], colours: Colours): string {
  if (rows.length === 0) return "";
  const cells = rows.map((row) => columns.map(({ cell }) => cell(row).split("\n")));
  const widths = columns.map(({ title }, column) =>
    Math.max(width(title), ...cells.map((row) => Math.max(...(row[column] ?? []).map(width)))),
  );
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, column) => pad(text, widths[column] ?? 0, columns[column]?.isNumber === true))
      .join("  ")
      .trimEnd();
  const body = cells.flatMap((row) => {
    const height = Math.max(...row.map((texts) => texts.length));
    return Array.from({ length: height }, (_, index) => line(row.map((texts) => texts[index] ?? "")));
  });
  return [colours.heading(line(columns.map(({ title }) => title))), ...body].map((text) => `${text}\n`).join("");
}

function pad(text: string, size: number, isRight: boolean): string {
  const blanks = " ".repeat(Math.max(0, size - width(text)));
  return isRight ? blanks + text : text + blanks;
}

/** Columns on a terminal, which are neither bytes nor UTF-16 units. */
function width(text: string): number {
  return Bun.stringWidth(text);
}
