import { placesOf } from "./reader.ts";

/** A path as `joinPath` writes it, of at least one step. */
const pathPattern = /\$(?:\.[\w-]+|\[(?:\d+|"(?:[^"\\]|\\.)*")\])+/;
const lastStep = /(?:\.[\w-]+|\[(?:\d+|"(?:[^"\\]|\\.)*")\])$/;

/**
 * The message with the line and column of the first JSON path in it, as in `$.ipam.ranges[0].subnet (line 4, column 20): expected …`: the
 * place of that value in `text`, or, for a value that is missing, of what it is missing in. `base` is where in the text paths begin. The
 * message as it is when it tells a place already or names no path, when the text has nothing of the sort, and for a text of one line: most
 * of those were written by a program, and the path says it all.
 */
export function withPosition(message: string, text: string, base = "$"): string {
  if (!text.trim().includes("\n")) return message;
  const path = pathPattern.exec(message)?.[0];
  if (path === undefined || /\bline \d+, column \d+/.test(message)) return message;
  const places = placesOf(text);
  for (let at = base + path.slice(1); at.length >= Math.max(base.length, 2); at = at.replace(lastStep, "")) {
    const place = places.get(at.toLowerCase());
    if (place !== undefined) return message.replace(path, `${path} (line ${place.line}, column ${place.column})`);
  }
  return message;
}
