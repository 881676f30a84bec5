import { InvalidArgumentError } from "commander";

/** A truth value as Go's flags have it: "--x" and "--x=true". For commander's `[bool]` options. */
export function flag(value: string): boolean {
  if (["1", "t", "true", "TRUE", "True", "T"].includes(value)) return true;
  if (["0", "f", "false", "FALSE", "False", "F"].includes(value)) return false;
  throw new InvalidArgumentError(`expected true or false, found ${JSON.stringify(value)}`);
}

/** A time in seconds, 0 or more. */
export function seconds(value: string): number {
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value);
  throw new InvalidArgumentError(`expected a number of seconds, found ${JSON.stringify(value)}`);
}
