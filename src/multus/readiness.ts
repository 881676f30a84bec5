import { code, CniError } from "../cni/error.ts";
import { statusIfExists } from "../libc/file.ts";
import type { Logger } from "../log/logger.ts";
import { DispatchError } from "./dispatch-error.ts";

const pollMs = 200;
const waitMs = 45_000;

/**
 * Waits until the default network says it is ready: the file of the config key `readinessindicatorfile` exists. Returns at once when
 * the key is empty. After 45 s, as Multus waits, throws `DispatchError` code 11, so that the runtime tries again later.
 */
export async function waitForReadiness(path: string, log: Logger, limitMs = waitMs): Promise<void> {
  if (path === "" || statusIfExists(path) !== undefined) return;
  log.verbose(`waiting for readinessindicatorfile ${path}`);
  for (let waitedMs = 0; waitedMs < limitMs; waitedMs += pollMs) {
    await Bun.sleep(pollMs);
    if (statusIfExists(path) !== undefined) return;
  }
  throw new DispatchError(
    "DefaultNetworkNotReady",
    `have you checked that your default network is ready? still waiting for readinessindicatorfile @ ${path} after ${limitMs / 1000} s`,
    {
      code: code.tryAgainLater,
      details:
        "the default network's own agent creates this file when it can serve pods; look at that agent's pod on this node",
    },
  );
}

/** What STATUS says at once, without waiting: a runtime asks again by itself. Throws `CniError` code 50 when the file is missing. */
export function requireReadiness(path: string): void {
  if (path === "" || statusIfExists(path) !== undefined) return;
  throw new CniError(
    code.notAvailable,
    `the default network is not ready: readinessindicatorfile @ ${path} does not exist`,
  );
}
