import { readText, writeExisting } from "../../libc/file.ts";
import type { Netns } from "../../netns/netns.ts";
import { explained } from "../common/explain.ts";

/** The switches of the node's forwarding by family. */
const keys = { 4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding" } as const;

/** Has the node forward packets of these families; one that does already is not written to. Throws `CniError`. */
export function enableForwarding(host: Netns, families: Iterable<4 | 6>): void {
  explained("failed to enable forwarding", () => {
    for (const key of switchesOff(host, families)) host.enter(() => writeExisting(pathOf(key), "1"));
  });
}

/** The sysctls that keep the node from forwarding packets of these families; none as a rule. */
export function switchesOff(host: Netns, families: Iterable<4 | 6>): readonly string[] {
  return host.enter(() => {
    const off: string[] = [];
    for (const family of families) if (readText(pathOf(keys[family])).trim() !== "1") off.push(keys[family]);
    return off;
  });
}

function pathOf(key: string): string {
  return `/proc/sys/${key}`;
}
