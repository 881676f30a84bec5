import { JsonError } from "./error.ts";
import { maxDepth, readDocument } from "./reader.ts";

/** Anything JSON can hold. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;

/** A JSON object; a member that is undefined counts as not there. */
export interface JsonObject {
  readonly [name: string]: JsonValue | undefined;
}

/** True for a JSON object; arrays and null are none. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What a text says, and one line for each liberty that was taken to read it; almost always none. */
export interface Parsed {
  readonly value: JsonValue;
  readonly warnings: string[];
}

/**
 * Reads a JSON text, and one with `#` and `//` comments too: published configs have them, and other CNI programs fail on those with
 * an error that names a single character. Each comment gives a warning. Of duplicate names the last one counts. Throws `JsonError`
 * for anything else that is no JSON (with line, column, path and what was expected there), and for more than 512 levels.
 */
export function parse(text: string): Parsed {
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return readDocument(text);
    throw error;
  }
  if (mayBeDeep(text) && depthOf(text) > maxDepth) return readDocument(text);
  return { value, warnings: [] };
}

/** The value of a text, as `parse` reads it; undefined for what is no JSON. */
export function parseIfJson(text: string): JsonValue | undefined {
  try {
    return parse(text).value;
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

/** Few documents have so many brackets at all, and counting pieces is what the runtime does fastest. */
function mayBeDeep(text: string): boolean {
  return text.split("[").length + text.split("{").length - 2 > maxDepth;
}

/** How deep a text that is known to be JSON nests. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) at = endOfString(text, at);
    else if (code === 0x5b || code === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (code === 0x5d || code === 0x7d) depth--;
  }
  return deepest;
}

/** The index of the quotation mark that ends the string begun at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); ; at = text.indexOf('"', at + 1)) {
    let escapes = 0;
    while (text.charCodeAt(at - 1 - escapes) === 0x5c) escapes++;
    // An odd number of backslashes escapes the mark itself.
    if (escapes % 2 === 0) return at;
  }
}
