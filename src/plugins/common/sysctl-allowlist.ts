import { CniError, code } from "../../cni/error.ts";
import { readTextIfExists } from "../../libc/file.ts";
import { messageOf } from "../../words/message.ts";

/** Where the node's administrator lists the sysctls that networks may set. */
export const allowlistPath = "/etc/cni/tuning/allowlist.conf";

/**
 * Throws unless the node's list allows all these keys, as the config writes them. Each line of the list is a regular expression that may match
 * anywhere in a key, so one that means a single key has to begin with ^ and end with $; empty lines say nothing. Without the file everything
 * is allowed, unless `isRequired`. `CniError`: code 7 for a key that is not allowed, 999 for a line that is no regular expression.
 */
export function requireAllowed(keys: readonly string[], isRequired: boolean, path = allowlistPath): void {
  if (keys.length === 0) return;
  const lines = readAllowlist(path);
  if (lines === undefined && !isRequired) return;
  const patterns = (lines ?? []).map((line) => patternOf(line, path));
  for (const key of keys) {
    if (patterns.some((pattern) => pattern.test(key))) continue;
    const list = lines === undefined ? "" : lines.join(" ");
    throw new CniError(
      code.invalidConfig,
      `Sysctl ${key} is not allowed. Only the following sysctls are allowed: [${list}]`,
      lines === undefined ? `the network wants a list, and there is no ${path}` : `the list is ${path}`,
    );
  }
}

function readAllowlist(path: string): string[] | undefined {
  const text = readTextIfExists(path);
  if (text === undefined) return undefined;
  const lines: string[] = [];
  for (const line of text.split("\n")) if (line.trim() !== "") lines.push(line.trim());
  return lines;
}

/** In the strict grammar: what Go reads in another way (such as [[:alpha:]]) is an error here, never a wider pattern. */
function patternOf(line: string, path: string): RegExp {
  try {
    return new RegExp(line, "u");
  } catch (cause) {
    const reason = messageOf(cause);
    throw new CniError(code.internal, `${path}: ${JSON.stringify(line)} is no regular expression: ${reason}`, "", {
      cause,
    });
  }
}
