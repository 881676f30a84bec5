import { CniError, code } from "../../cni/error.ts";
import { equalPrefix, formatPrefix, type Prefix } from "../../ip/prefix.ts";
import { sleep } from "../../libc/process.ts";
import type { Logger } from "../../log/logger.ts";
import type { Netns } from "../../netns/netns.ts";
import { type Address, listAddresses } from "../../rtnl/address.ts";
import { type Link, requireLink } from "../../rtnl/link.ts";
import { explained } from "./explain.ts";

/** A random delay of up to 1 s, then a probe of 1 s (RFC 4862, 5.4.2), and room for a loaded node. */
const detectionTimeoutMs = 5000;
const pollMs = 20;

/**
 * Waits until duplicate address detection is through with those of `prefixes` that are IPv6, 1 to 2 s as a rule. Throws `CniError` for
 * an address that another node has, and when it takes longer than 5 s. A link without carrier can't probe: it is logged, not waited for.
 */
export function awaitDetection(pod: Netns, link: Link, prefixes: readonly Prefix[], log: Logger): void {
  const deadline = performance.now() + detectionTimeoutMs;
  for (;;) {
    const own = addressesOf(pod, link, prefixes);
    const failed = own.find(({ dadFailed }) => dadFailed);
    if (failed !== undefined) throw duplicate(link, failed);
    if (!own.some(({ tentative }) => tentative)) return;
    if (!explained(`failed to look at "${link.name}"`, () => requireLink(pod.rtnl, link)).carrier) {
      log.error(`${link.name} has no carrier: its IPv6 addresses stay tentative until it has`);
      return;
    }
    if (performance.now() > deadline) throw late(link);
    sleep(pollMs);
  }
}

function addressesOf(pod: Netns, link: Link, prefixes: readonly Prefix[]): Address[] {
  return explained(`failed to list the addresses of "${link.name}"`, () =>
    listAddresses(pod.rtnl, { device: link, family: 6 }),
  ).filter(({ prefix }) => prefixes.some((wanted) => equalPrefix(wanted, prefix)));
}

function duplicate(link: Link, { prefix }: Address): CniError {
  return new CniError(
    code.internal,
    `link ${link.name} has address ${formatPrefix(prefix)} in DADFAILED state: another node on this network has it; free it there or keep it from the IPAM plugin`,
  );
}

function late(link: Link): CniError {
  return new CniError(
    code.tryAgainLater,
    `link ${link.name} still has tentative addresses after ${detectionTimeoutMs / 1000} s of duplicate address detection`,
  );
}
