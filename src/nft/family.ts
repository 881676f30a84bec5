/** nf_tables families by NFPROTO number (include/uapi/linux/netfilter.h). "inet" sees both ip and ip6. */
const protocols = { inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 } as const;

export type Family = keyof typeof protocols;

const names = new Map<number, Family>(Object.entries(protocols).map(([name, number]) => [number, name as Family]));

/** The number that messages carry; 0 (NFPROTO_UNSPEC) for undefined: a dump of all families. */
export function familyNumber(family: Family | undefined): number {
  return family === undefined ? 0 : protocols[family];
}

/** The family of a message from the kernel; undefined for one that this file does not know. */
export function familyName(number: number): Family | undefined {
  return names.get(number);
}

/** NFPROTO_IPV4 or NFPROTO_IPV6: what `meta nfproto` and the nat expression call the family of an address. */
export function networkProtocol(ip: 4 | 6): number {
  return ip === 4 ? protocols.ip : protocols.ip6;
}
