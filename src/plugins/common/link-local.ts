import { type Ip, ipFromBytes } from "../../ip/address.ts";
import type { Link } from "../../rtnl/link.ts";

const ethernetBytes = 6;

/**
 * The link-local address that IPv6 makes of an Ethernet device's MAC (RFC 4291, appendix A): fe80:: and the modified EUI-64. Undefined
 * for a hardware address of another length, and for an ipvlan: it shares its MAC, and there the kernel puts a number of the device into the
 * address (addrconf_ifid_eui48() in include/net/addrconf.h), which rtnetlink does not tell.
 */
export function linkLocalOf({ kind, mac }: Pick<Link, "kind" | "mac">): Ip | undefined {
  if (mac.length !== ethernetBytes || kind === "ipvlan") return undefined;
  const bytes = new Uint8Array(16);
  bytes.set([0xfe, 0x80]);
  bytes.set(mac.subarray(0, 3), 8);
  bytes.set([0xff, 0xfe], 11);
  bytes.set(mac.subarray(3), 13);
  // The "universal/local" bit is turned over.
  bytes[8] = (bytes[8] ?? 0) ^ 2;
  return ipFromBytes(bytes);
}
