import type { Ip } from "../../ip/address.ts";
import type { Logger } from "../../log/logger.ts";
import type { Netns } from "../../netns/netns.ts";
import { readSysctl, writeSysctl } from "../../netns/sysctl.ts";
import { getLink } from "../../rtnl/link.ts";
import { lookUpRoute } from "../../rtnl/route-lookup.ts";
import { explained } from "../common/explain.ts";

/**
 * Lets packets from 127.0.0.1 leave by the interface that the pod is behind (route_localnet), so that a mapped port answers on localhost too.
 *
 * Not on hardware. There a pod is behind the interface only as a macvlan or ipvlan, which its own node can't reach that way, and the
 * sysctl would let the neighbours on that wire in to what listens on 127.0.0.1. Throws `CniError` when it can't be set.
 */
export function routeLocalhost(host: Netns, pod: Ip, log: Logger): void {
  const device = lookUpRoute(host.rtnl, pod)?.device;
  const link = device === undefined ? undefined : getLink(host.rtnl, device);
  if (link === undefined || link.loopback) return;
  if (link.kind === "") {
    log.verbose(`mapped ports do not answer on localhost: the pod is behind ${link.name}, which others are on as well`);
    return;
  }
  const key = `net/ipv4/conf/${link.name}/route_localnet`;
  explained("unable to enable route_localnet", () => {
    if (readSysctl(host, key) !== "1") writeSysctl(host, key, "1");
  });
}
