import { errno } from "./ffi.ts";
import { errnoName, SystemError } from "./errno.ts";

const EINTR = 4;

/**
 * What became of a system call that returned `result`. False: it succeeded, or failed with one of the error numbers `expected`, and then
 * `result` still says -1. True: a signal interrupted it, and it is to be made again. Any other failure is thrown as a `SystemError` with
 * the call's name and its subject. For the condition of a `do … while`, where the call itself is the body.
 */
export function isInterrupted(
  result: number,
  name: string,
  subject: string,
  expected: readonly number[] = nothing,
): boolean {
  if (result !== -1) return false;
  const number = errno();
  if (number === EINTR) return true;
  if (expected.includes(number)) return false;
  throw new SystemError(errnoName(number), name, subject);
}

const nothing: readonly number[] = [];

/** As a loop over `isInterrupted`, for calls that are rare: each function costs a process that is a few milliseconds old some of them. */
export function systemCall(name: string, subject: string, invoke: () => number): number {
  for (;;) {
    const result = invoke();
    if (!isInterrupted(result, name, subject)) return result;
  }
}
