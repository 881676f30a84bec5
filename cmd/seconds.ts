import { InvalidArgumentError } from "commander";

/** For options in seconds: milliseconds. */
export function parseSeconds(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new InvalidArgumentError("expected a number of seconds");
  return Number(text) * 1000;
}
