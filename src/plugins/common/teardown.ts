import type { CniError } from "../../cni/error.ts";
import { sleep } from "../../libc/process.ts";
import type { Link } from "../../rtnl/link.ts";

/** The kernel takes the links out of a namespace some time after its last user is gone (cleanup_net() in net/core/net_namespace.c). */
const teardownTimeoutMs = 2000;
const pollMs = 50;

/**
 * Makes a link that the kernel has refused with `refusal`, perhaps for the sake of one in a namespace that is being torn down: `create` is
 * called again for 2 s, until it succeeds. `obstacleTo` says what else a refusal is about, and that is thrown; undefined when there is nothing
 * to be seen that is in the way. After the 2 s what `stillRefused` makes of the last refusal is thrown.
 */
export function createAfterTeardown(
  refusal: unknown,
  create: () => Link,
  obstacleTo: (refusal: unknown) => CniError | undefined,
  stillRefused: (refusal: unknown) => CniError,
): Link {
  const deadline = performance.now() + teardownTimeoutMs;
  for (let last = refusal; ;) {
    const obstacle = obstacleTo(last);
    if (obstacle !== undefined) throw obstacle;
    if (performance.now() > deadline) throw stillRefused(last);
    sleep(pollMs);
    try {
      return create();
    } catch (again) {
      last = again;
    }
  }
}
