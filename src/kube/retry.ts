import type { KubeError } from "./error.ts";

const firstDelayMs = 50;
const longestDelayMs = 1000;

/**
 * How long to wait before the attempt after `attempt` (counted from 1), or undefined when another one would end the same way. A server that
 * says how long it wants to be left alone is obeyed.
 */
export function retryDelayMs(error: KubeError, attempt: number): number | undefined {
  if (!isWorthRepeating(error)) return undefined;
  return Math.max(error.status?.retryAfterMs ?? 0, backoffMs(attempt, longestDelayMs));
}

/** Doubles from 50 ms to `longestMs`, with half of it left to chance, so that the nodes of a cluster do not come back all at once. */
export function backoffMs(attempt: number, longestMs: number): number {
  return Math.min(firstDelayMs * 2 ** (attempt - 1), longestMs) * (0.5 + Math.random() / 2);
}

/** Trouble that passes: nobody there, no answer, too many requests, or a server (or one before it) that could not finish. */
function isWorthRepeating({ kind, status }: KubeError): boolean {
  if (status === undefined) return kind === "unreachable" || kind === "timeout";
  return status.code === 429 || (status.code >= 500 && status.code !== 501);
}
