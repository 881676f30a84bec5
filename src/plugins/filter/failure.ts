import { CniError, code } from "../../cni/error.ts";
import { isNetlinkError } from "../../netlink/error.ts";
import { isNftError } from "../../nft/error.ts";
import { messageOf } from "../../words/message.ts";
import { isIptablesError } from "./iptables.ts";

/**
 * What a runtime is told when packet filter rules could not be made or removed: `what`, then the cause. Code 11 ("try again later")
 * when somebody else kept the rule set busy, 999 otherwise.
 */
export function failure(what: string, cause: unknown): CniError {
  // EINTR is the end of a list that kept changing while it was read.
  const isBusy = isNftError(cause, "EAGAIN") || isNetlinkError(cause, "EINTR") || isIptablesError(cause, "busy");
  const text = messageOf(cause);
  return new CniError(isBusy ? code.tryAgainLater : code.internal, `${what}: ${text}`, "", { cause });
}

/** Runs the work of each back end, all of it even when some fails; then throws the first failure as `failure` tells it. */
export async function inBoth(what: string, ...bodies: readonly (() => void | Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const body of bodies) {
    try {
      await body();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failure(what, failures[0]);
}
