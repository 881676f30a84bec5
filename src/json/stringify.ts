/** How `stringify` lays a document out. */
export interface StringifyOptions {
  /** Spaces per level; 0, the default, prints everything on one line. */
  readonly indent?: number;
}

/**
 * JSON text as Go's encoder prints it: `<`, `>`, `&`, U+2028 and U+2029 escaped, an empty array or object as `[]` or `{}` at any
 * indent, undefined members left out, no newline at the end. Names come in insertion order. `value` is plain JSON data; undefined itself,
 * a function or a bigint is a TypeError.
 */
export function stringify(value: unknown, { indent = 0 }: StringifyOptions = {}): string {
  const text: unknown = JSON.stringify(value, null, indent);
  if (typeof text !== "string") throw new TypeError(`expected a JSON value to print, found ${typeof value}`);
  // These characters can only stand inside strings, so the finished text may be edited as a whole.
  return text.replaceAll(/[<>&\u2028\u2029]/g, escape);
}

function escape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
