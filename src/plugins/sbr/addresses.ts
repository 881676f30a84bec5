import type { Result, ResultIp } from "../../cni/result.ts";
import { equalIp } from "../../ip/address.ts";

/** The addresses that a result gives to the interface of that name, each once; an address that names no interface counts as its own. */
export function addressesOf({ interfaces, ips }: Result, ifName: string): ResultIp[] {
  const own: ResultIp[] = [];
  for (const ip of ips) {
    const entry = ip.interface === undefined ? undefined : interfaces[ip.interface];
    if (entry !== undefined && entry.name !== ifName) continue;
    if (!own.some(({ address }) => equalIp(address.ip, ip.address.ip))) own.push(ip);
  }
  return own;
}
