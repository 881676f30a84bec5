import type { LogEntry, LogFields } from "./logger.ts";

/**
 * The line Multus writes (RFC 3339 time to the second, level in brackets, message) with our fields behind it as name=value. Always
 * one line: control characters and Unicode's line separators are escaped, so that nothing a pod's author can write into a name or
 * an error looks like a line of its own or drives a terminal.
 *
 * The time is UTC, not local: finding out the local zone loads Unicode tables for 5 ms, more than the rest of a CNI call may take.
 */
export function formatText({ time, level, message, fields }: LogEntry): string {
  let line = `${time.toISOString().slice(0, 19)}Z [${level}] ${escapeControls(message)}`;
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) line += ` ${quoteWord(name)}=${quoteWord(String(value))}`;
  }
  return `${line}\n`;
}

/** The same entry as one JSON object: time (RFC 3339, UTC, milliseconds), level, msg, then the fields. Always one line, too. */
export function formatJson({ time, level, message, fields }: LogEntry): string {
  return `${escapeControls(JSON.stringify({ time: time.toISOString(), level, msg: message, ...renameReserved(fields) }))}\n`;
}

const reserved = new Set(["time", "level", "msg"]);

/** A field may not replace what every reader of the log relies on; it gets an underscore instead. */
function renameReserved(fields: LogFields): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [reserved.has(name) ? `${name}_` : name, value]),
  );
}

function quoteWord(word: string): string {
  return word === "" || /[\s"=\p{Cc}\u2028\u2029]/u.test(word) ? escapeControls(JSON.stringify(word)) : word;
}

const shortEscapes: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Makes one line of any text: control characters, line and paragraph separators become escapes such as \\n or \\u001b. */
export function escapeControls(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\u2028\u2029]/gu,
    (character) => shortEscapes[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
