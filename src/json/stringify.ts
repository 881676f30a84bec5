/** How `stringify` lays a document out. */
export interface StringifyOptions {
  /** Spaces per level; 0, the default, prints everything on one line. */
  readonly indent?: number;
  /** Sort the names of every object by their UTF-8 bytes, as Go prints a map; otherwise they come in insertion order. */
  readonly sortKeys?: boolean;
}

/**
 * JSON text as Go's encoder prints it: `<`, `>`, `&`, U+2028 and U+2029 escaped, an empty array or object as `[]` or `{}` at any
 * indent, undefined members left out, no newline at the end. `value` is plain JSON data; undefined itself, a function or a bigint
 * is a TypeError.
 */
export function stringify(value: unknown, { indent = 0, sortKeys = false }: StringifyOptions = {}): string {
  const text = sortKeys ? sorted(value, " ".repeat(indent), "") : (JSON.stringify(value, null, indent) as unknown);
  if (typeof text !== "string") throw new TypeError(`expected a JSON value to print, found ${typeof value}`);
  // These characters can only stand inside strings, so the finished text may be edited as a whole.
  return text.replaceAll(/[<>&\u2028\u2029]/g, escape);
}

function escape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** By hand, because an object's own order puts names that look like numbers first. Undefined where JSON.stringify has no text. */
function sorted(value: unknown, indent: string, margin: string): string | undefined {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const inner = margin + indent;
  const items: string[] = [];
  if (Array.isArray(value)) {
    for (const element of value as readonly unknown[]) items.push(sorted(element, indent, inner) ?? "null");
    return wrap("[", items, "]", indent, margin);
  }
  for (const name of Object.keys(value).sort(compareBytes)) {
    const text = sorted((value as Readonly<Record<string, unknown>>)[name], indent, inner);
    if (text !== undefined) items.push(`${JSON.stringify(name)}:${indent === "" ? "" : " "}${text}`);
  }
  return wrap("{", items, "}", indent, margin);
}

function wrap(open: string, items: readonly string[], close: string, indent: string, margin: string): string {
  if (items.length === 0) return open + close;
  if (indent === "") return open + items.join(",") + close;
  const inner = `\n${margin}${indent}`;
  return `${open}${inner}${items.join(`,${inner}`)}\n${margin}${close}`;
}

/** UTF-8 order is code point order; comparing UTF-16 units would put U+FF5E behind the characters beyond U+FFFF. */
function compareBytes(a: string, b: string): number {
  for (let at = 0; at < a.length && at < b.length; at++) {
    const left = a.codePointAt(at) ?? 0;
    const right = b.codePointAt(at) ?? 0;
    if (left !== right) return left - right;
  }
  return a.length - b.length;
}
