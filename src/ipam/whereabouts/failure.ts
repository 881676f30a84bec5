import { CniError, code } from "../../cni/error.ts";
import { ClusterError } from "../../cluster/port.ts";
import { SystemError } from "../../libc/errno.ts";

/** What is worth another try says so: runtimes call again after code 11. Failed system calls get code 5. */
export function toCniError(error: unknown): CniError {
  if (error instanceof ClusterError) {
    const passes = error.code === "unavailable" || error.code === "conflict";
    const message = `error at storage engine: ${error.operation}: ${error.problem}`;
    return new CniError(passes ? code.tryAgainLater : code.internal, message, error.hint, { cause: error });
  }
  return CniError.from(error, error instanceof SystemError ? code.io : code.internal);
}

/** As `toCniError` for whatever the work throws. */
export async function orCniError<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toCniError(error);
  }
}
