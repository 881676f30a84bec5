import { errno } from "./ffi.ts";
import { errnoName, SystemError } from "./errno.ts";

const EINTR = 4;

/**
 * Runs a system call until no signal interrupts it. `invoke` returns what the C function returned; -1 becomes a `SystemError`
 * with the errno's name, the call's name and its subject.
 */
export function systemCall(name: string, subject: string, invoke: () => number): number {
  for (;;) {
    const result = invoke();
    if (result !== -1) return result;
    const number = errno();
    if (number !== EINTR) throw new SystemError(errnoName(number), name, subject);
  }
}
