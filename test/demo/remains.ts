// What there is on a node and on disk, to compare before and after.
import { formatIp, parseIp } from "../../src/ip/address.ts";
import { formatPrefix } from "../../src/ip/prefix.ts";
import { readDirectoryIfExists, readText } from "../../src/libc/file.ts";
import { Netns } from "../../src/netns/netns.ts";
import { listAddresses } from "../../src/rtnl/address.ts";
import { listLinks } from "../../src/rtnl/link.ts";
import { describeRoute, listRoutes } from "../../src/rtnl/route.ts";
import { protocolNumbers } from "../../src/nft/statement.ts";
import { readForward } from "../../src/plugins/filter/forward.ts";
import { nftIfAvailable } from "../../src/plugins/filter/nft-of.ts";
import type { DemoNode } from "./lan.ts";

const protocolWords = new Map(Object.entries(protocolNumbers).map(([word, number]) => [number, word]));

/**
 * One line for each link, IPv4 address, IPv4 route and forwarded IPv4 port of a node. (IPv6 makes link-local addresses and routes by itself as
 * time goes by.)
 */
export function nodeContents({ name, netns }: DemoNode): string[] {
  using node = Netns.open(netns);
  const links = listLinks(node.rtnl);
  const nameOf = (index: number | undefined): string => links.find((link) => link.index === index)?.name ?? `#${index}`;
  return [
    ...links.map((link) => `${name}: link ${link.name}`),
    ...listAddresses(node.rtnl, { family: 4 }).map(
      ({ device, prefix }) => `${name}: address ${formatPrefix(prefix)} on ${nameOf(device)}`,
    ),
    ...listRoutes(node.rtnl, { family: 4 }).map(
      (route) => `${name}: ${describeRoute(route)} on ${nameOf(route.device)}`,
    ),
    ...forwardsOf(node).map((forward) => `${name}: ${forward}`),
  ].sort();
}

/** The ports of a node that lead elsewhere by nf_tables, whoever made the rules: "tcp port 8080 leads to 10.63.0.2 port 80". */
function forwardsOf(node: Netns): string[] {
  const rules = nftIfAvailable(node)?.rules() ?? [];
  return rules.flatMap(({ chain, expressions }) => {
    const forward = readForward(expressions, 4);
    if (chain.table.family === "ip6" || forward === undefined) return [];
    const { protocol, hostPort, to, toPort } = forward;
    const word = protocolWords.get(protocol ?? 0) ?? "any protocol's";
    return [`${word} port ${hostPort ?? "any"} leads to ${formatIp(to)} port ${toPort ?? "the same"}`];
  });
}

/** Leases that host-local still keeps, by path: files named after an address. */
export function leasesUnder(folder: string): string[] {
  return filesUnder(folder).filter((path) => parseIp(path.slice(path.lastIndexOf("/") + 1)) !== undefined);
}

/** Addresses that whereabouts still holds in the pools of a folder, by path: reservations, and what is left of making one. */
export function claimsUnder(folder: string): string[] {
  return filesUnder(`${folder}/.state/whereabouts/overlappingrangeipreservations`);
}

/** Paths of all files below a folder; none when it does not exist. */
export function filesUnder(folder: string): string[] {
  return readDirectoryIfExists(folder).flatMap(({ name, kind }) =>
    kind === "directory" ? filesUnder(`${folder}/${name}`) : [`${folder}/${name}`],
  );
}

/** Mount points below a folder, such as the pins of namespaces. */
export function mountsUnder(folder: string): string[] {
  return readText("/proc/thread-self/mountinfo")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path.startsWith(`${folder}/`));
}
