import { InvalidArgumentError } from "commander";
import { nextTime } from "../src/controller/schedule.ts";
import { asVersion, versions } from "../src/cni/version.ts";
import { parsePrefix } from "../src/ip/prefix.ts";
import { parseLogLevel } from "../src/log/open.ts";

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

/** A network by address and prefix length, as in "10.88.0.0/16". */
export function cidr(value: string): string {
  if (parsePrefix(value) !== undefined) return value;
  throw new InvalidArgumentError(
    `expected an address and a prefix length (10.88.0.0/16), found ${JSON.stringify(value)}`,
  );
}

/** A version of the CNI specification, or "" for none: with any other in its config a node could start no pod. */
export function cniVersion(value: string): string {
  if (value === "" || asVersion(value) !== undefined) return value;
  throw new InvalidArgumentError(`expected one of ${versions.join(", ")}, found ${JSON.stringify(value)}`);
}

/** The name of a log level, or "" for the default one. */
export function logLevel(value: string): string {
  if (value === "" || parseLogLevel(value) !== undefined) return value;
  throw new InvalidArgumentError(`expected debug, verbose, error or panic, found ${JSON.stringify(value)}`);
}

/** When something is due, as `nextTime` reads it; "" says nothing. */
export function schedule(value: string): string {
  try {
    if (value !== "") nextTime(value, Date.now());
    return value;
  } catch (error) {
    if (error instanceof RangeError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}
