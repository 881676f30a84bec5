/** JSON_SYNTAX: the text is no JSON. JSON_DEPTH: it nests too deep. JSON_TYPE: it is JSON, but not of the shape that was asked for. */
export type JsonErrorCode = "JSON_SYNTAX" | "JSON_DEPTH" | "JSON_TYPE";

/** Where in a text: both count from 1, the column in UTF-16 units. */
export interface TextPosition {
  readonly line: number;
  readonly column: number;
}

/**
 * JSON that can't be used. `path` is where, as in $.ipam.ranges[0].subnet; `position` is known only while a text is read. The
 * message is one line that names the place, what was expected and what was found.
 */
export class JsonError extends Error {
  override readonly name = "JsonError";
  constructor(
    readonly code: JsonErrorCode,
    readonly path: string,
    message: string,
    readonly position?: TextPosition,
  ) {
    super(message);
  }
}

/** Appends member names and array indices to a path: `$` and ["ipam", "ranges", 0, "a b"] give $.ipam.ranges[0]["a b"]. */
export function joinPath(base: string, steps: readonly (string | number)[]): string {
  let path = base;
  for (const step of steps) {
    if (typeof step === "number") path += `[${step}]`;
    else path += /^[\w-]+$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
  }
  return path;
}

const longestQuote = 40;

/** What a message says was found: a scalar of JSON as it is (long text cut), otherwise "an array", "an object" or "nothing". */
export function describeValue(value: unknown): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > longestQuote ? `${value.slice(0, longestQuote)}…` : value);
  }
  if (typeof value === "number" || typeof value === "boolean" || value === null) return String(value);
  if (value === undefined) return "nothing";
  return Array.isArray(value) ? "an array" : "an object";
}
