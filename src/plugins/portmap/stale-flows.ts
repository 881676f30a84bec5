import { equalIp, type Ip } from "../../ip/address.ts";
import type { Prefix } from "../../ip/prefix.ts";
import type { Logger } from "../../log/logger.ts";
import type { Netns } from "../../netns/netns.ts";
import { Conntrack, type Flow } from "../../nft/conntrack.ts";
import { protocolNumbers } from "../../nft/statement.ts";
import { RTN_LOCAL } from "../../rtnl/constants.ts";
import { lookUpRoute } from "../../rtnl/route-lookup.ts";
import { messageOf } from "../../words/message.ts";
import type { Forward } from "../filter/forward.ts";
import type { PortmapConfig } from "./config.ts";
import { mappingsOf } from "./nftables-rules.ts";

// NAT rules are asked for the first packet of a connection, and for the others the kernel remembers the answer. A UDP "connection" of a client
// that keeps sending never ends, nor does an SCTP association that keeps trying: after a change of the rules it must be forgotten. TCP notices by
// itself. Nothing here fails the verb: what could not be forgotten times out, and is logged.

/** Those that go on without a new first packet. */
const unending: readonly number[] = [protocolNumbers.udp, protocolNumbers.sctp];

/**
 * After an ADD: forgets connections to the mapped ports of this host that do not go to the pod. Those to other hosts, which merely pass, are left
 * alone, as are those to other addresses of the host than `hostIP`.
 */
export function forgetOldFlows(host: Netns, config: PortmapConfig, addresses: readonly Prefix[], log: Logger): void {
  for (const { ip } of addresses) {
    const mappings = mappingsOf(config, ip.family).filter(({ protocol }) =>
      unending.includes(protocolNumbers[protocol]),
    );
    for (const name of ["udp", "sctp"] as const) {
      const own = mappings.filter(({ protocol }) => protocol === name);
      const [only] = own;
      if (only === undefined) continue;
      const destinationPort = own.length === 1 ? only.hostPort : undefined;
      forget(host, log, { family: ip.family, protocol: protocolNumbers[name], destinationPort }, (flow) =>
        own.some(({ hostPort, containerPort, hostIp }) => {
          const { destination, replySource } = flow;
          if (destination.port !== hostPort) return false;
          if (replySource.port === containerPort && equalIp(replySource.ip, ip)) return false;
          return hostIp === undefined ? isLocal(host, destination.ip) : equalIp(destination.ip, hostIp);
        }),
      );
    }
  }
}

/** Forgets connections that came to a pod by these mappings. */
export function forgetForwarded(host: Netns, forwards: readonly Forward[], log: Logger): void {
  for (const protocol of unending) {
    const own = forwards.filter((forward) => (forward.protocol ?? protocol) === protocol);
    const targets: Ip[] = [];
    for (const { to } of own) if (!targets.some((one) => equalIp(one, to))) targets.push(to);
    for (const replySource of targets) {
      forget(host, log, { family: replySource.family, protocol, replySource }, ({ destination }) =>
        own.some(
          ({ to, hostPort }) =>
            equalIp(to, replySource) &&
            (hostPort ?? destination.port) === destination.port &&
            !equalIp(destination.ip, replySource),
        ),
      );
    }
  }
}

/** What the config's mappings to these addresses would be as rules, for a DEL that finds the rules gone already. */
export function forwardsOf(config: PortmapConfig, addresses: readonly Ip[]): Forward[] {
  const forwards: Forward[] = [];
  for (const to of addresses) {
    for (const { protocol, hostPort, hostIp, containerPort } of mappingsOf(config, to.family)) {
      forwards.push({ protocol: protocolNumbers[protocol], hostPort, hostIp, to, toPort: containerPort });
    }
  }
  return forwards;
}

/** Whether any of them is of a protocol that goes on by itself, or of an unknown one. */
export function hasUnending(forwards: readonly Forward[]): boolean {
  return forwards.some(({ protocol }) => protocol === undefined || unending.includes(protocol));
}

function forget(
  host: Netns,
  log: Logger,
  filter: Parameters<Conntrack["flows"]>[0],
  isStale: (flow: Flow) => boolean,
): void {
  try {
    const conntrack = host.bound(openConntrack);
    const stale = conntrack.flows(filter).filter(isStale);
    if (stale.length > 0) conntrack.delete(stale);
  } catch (error) {
    const reason = messageOf(error);
    log.error(`old connections to mapped ports may go on for a while: ${reason}`);
  }
}

function openConntrack(subject: string): Conntrack {
  return Conntrack.open(subject);
}

/** As `fib daddr type local` sees it. */
function isLocal(host: Netns, ip: Ip): boolean {
  return lookUpRoute(host.rtnl, ip)?.type === RTN_LOCAL;
}
