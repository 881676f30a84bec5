import { readText, writeExisting } from "../libc/file.ts";
import type { Netns } from "./netns.ts";

/** `key` with slashes, e.g. "net/ipv4/conf/eth0/arp_notify" (an interface name may hold dots). Returns the value without its newline. */
export function readSysctl(netns: Netns, key: string): string {
  return netns.enter(() => readText(`/proc/sys/${key}`).trim());
}

/** Writes one sysctl of the namespace. Throws `SystemError`: ENOENT for a key the kernel does not have. */
export function writeSysctl(netns: Netns, key: string, value: string): void {
  writeSysctls(netns, [[key, value]]);
}

/** Writes several in order with one switch of namespace; stops at the first that fails. */
export function writeSysctls(netns: Netns, pairs: readonly (readonly [key: string, value: string])[]): void {
  netns.enter(() => {
    for (const [key, value] of pairs) writeExisting(`/proc/sys/${key}`, value);
  });
}
