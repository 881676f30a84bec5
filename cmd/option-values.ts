import { InvalidArgumentError } from "commander";

/** A truth value as Go's flags have it: "--x" and "--x=true". For commander's `[bool]` options. */
export function flag(value: string): boolean {
  if (["1", "t", "true", "TRUE", "True", "T"].includes(value)) return true;
  if (["0", "f", "false", "FALSE", "False", "F"].includes(value)) return false;
  throw new InvalidArgumentError(`expected true or false, found ${JSON.stringify(value)}`);
}

/** A time in seconds, 0 or more. */
export function seconds(value: string): number {
  const number = Number(value);
  if (value !== "" && Number.isFinite(number) && number >= 0) return number;
  throw new InvalidArgumentError(`expected a number of seconds, found ${JSON.stringify(value)}`);
}

/** A path from the root. */
export function absolute(path: string): string {
  return path.startsWith("/") ? path : `${process.cwd()}/${path}`;
}
