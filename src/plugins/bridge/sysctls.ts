import { isErrno } from "../../libc/errno.ts";
import { writeExisting } from "../../libc/file.ts";
import type { Logger } from "../../log/logger.ts";
import type { Netns } from "../../netns/netns.ts";
import { explain } from "../common/explain.ts";

/** Keeps the node from taking routes of router advertisements on these interfaces; what can't be set is logged, upstream says nothing. */
export function ignoreAdvertisements(host: Netns, interfaces: readonly string[], log: Logger): void {
  const pairs: (readonly [key: string, value: string])[] = [];
  for (const name of interfaces) pairs.push([`net/ipv6/conf/${name}/accept_ra`, "0"]);
  write(host, pairs, log);
}

/**
 * Switches detection of duplicate IPv6 addresses on or off for all that the pod's interface will ever have: frames that come back by a
 * hairpin or a promiscuous bridge look like a duplicate (docs/ipv6-dad.md).
 */
export function setDetection(pod: Netns, ifName: string, on: boolean, log: Logger): void {
  const folder = `net/ipv6/conf/${ifName}`;
  // Enhanced detection (RFC 7527) knows its own probes.
  const enhanced = on ? [[`${folder}/enhanced_dad`, "1"] as const] : [];
  write(pod, [...enhanced, [`${folder}/accept_dad`, on ? "1" : "0"]], log);
}

function write(netns: Netns, pairs: readonly (readonly [key: string, value: string])[], log: Logger): void {
  netns.enter(() => {
    for (const [key, value] of pairs) {
      try {
        writeExisting(`/proc/sys/${key}`, value);
      } catch (error) {
        // A kernel without IPv6.
        if (!isErrno(error, "ENOENT")) log.error(explain(`cannot set ${key} to ${value}`, error).message);
      }
    }
  });
}
