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
  if (mayBeDeep(text) && isDeep(value)) return readDocument(text);
  return { value, warnings: [] };
}

/** False when there are too few brackets in all of the text; spares ordinary documents the walk. */
function mayBeDeep(text: string): boolean {
  let opened = 0;
  for (let at = 0; at < text.length && opened <= maxDepth; at++) {
    const character = text.charCodeAt(at);
    if (character === 0x5b || character === 0x7b) opened++;
  }
  return opened > maxDepth;
}

/** Level by level, not by recursion: the point is to survive what nests too deep. */
function isDeep(value: JsonValue): boolean {
  let level = containersIn([value]);
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > maxDepth) return true;
    level = level.flatMap((each) => containersIn(Object.values(each)));
  }
  return false;
}

function containersIn(values: readonly unknown[]): object[] {
  return values.filter((value): value is object => typeof value === "object" && value !== null);
}
