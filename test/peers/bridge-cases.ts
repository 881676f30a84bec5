// What the differential tables of bridge share: networks, and where ours differs on purpose in every case.
import type { ExpectedDifference, Site, Step } from "./compare.ts";

export const v4 = [{ subnet: "10.1.2.0/24" }];
export const v6 = [{ subnet: "fd00:1::/64" }];

/** host-local on these ranges, its leases in the site's folder. */
export function ipam(ranges: readonly object[], more: object = {}) {
  return (site: Site) => ({ type: "host-local", dataDir: site.folder, ranges, ...more });
}

export function network(own: object = {}, addresses = ipam([v4]), cniVersion = "1.1.0") {
  return (site: Site) => ({ cniVersion, name: "pods", type: "bridge", ipam: addresses(site), ...own });
}

/** A network without addresses: upstream's CHECK fails there for want of an IPAM plugin. */
export const layer2 = (own: object = {}, cniVersion = "1.1.0") => ({
  cniVersion,
  name: "pods",
  type: "bridge",
  ...own,
});
export const withoutCheck: readonly Step[] = [{ command: "ADD" }, { command: "DEL" }, { command: "DEL" }];

export const common: ExpectedDifference[] = [
  { line: / ifalias: /, reason: "ours says whose the node's end of a pair is" },
  { line: / net\d \/ ipv6\.ndisc_notify: /, reason: "ours tells IPv6 neighbours of a new address as well as IPv4's" },
  {
    line: / nodad: /,
    reason: "where duplicates are not looked for, ours makes addresses usable at once",
  },
  { line: /files \/ \w+\/\.polynic/, reason: "host-local keeps an index" },
  {
    line: /files \/ pods(?:\/lock)?: peer has .* ours has nothing$/,
    reason: "host-local makes no files to delete a lease",
  },
];

export const ownMac: ExpectedDifference[] = [
  {
    line: / cni0 \/ address: | cni0 fe80:.*: peer has /,
    reason: "ours gives a bridge a MAC of its own; upstream's has a port's",
  },
  { line: / address: peer has "mac#\d", ours has "mac#\d"| \/ mac: /, reason: "so all others have other numbers" },
];
