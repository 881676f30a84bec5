import { code, CniError } from "../cni/error.ts";
import type { Result, ResultRoute } from "../cni/result.ts";
import { formatIp, type Ip } from "../ip/address.ts";
import { isDefault, type Prefix } from "../ip/prefix.ts";
import type { Netns } from "../netns/netns.ts";
import type { NetlinkRequest } from "../netlink/message.ts";
import { addRoute, deleteRoute, listRoutes, type Route } from "../rtnl/route.ts";
import { RT_TABLE_MAIN } from "../rtnl/constants.ts";
import { requireLink } from "../rtnl/link.ts";
import type { Attachment } from "./attachment.ts";

/** An attachment and what came of it. */
export interface Attached {
  readonly attachment: Attachment;
  readonly result: Result;
}

/** Which attachment keeps the pod's default route of a family, and through which gateway when the annotation names one. */
interface Choice {
  readonly family: 4 | 6;
  /** Of the network, for messages. */
  readonly name: string;
  readonly ifName: string;
  readonly gateway?: Ip;
}

const anywhere: Readonly<Record<4 | 6, Prefix>> = {
  4: { ip: { family: 4, value: 0n }, bits: 0 },
  6: { ip: { family: 6, value: 0n }, bits: 0 },
};

/**
 * Settles the pod's default routes as the `default-route` keys of its annotation ask (NPWG spec M17), family by family, in the kernel and
 * in the results, so that status, CHECK and the runtime see what is there. Called once, after the last attachment: only then all routes
 * are known. Nobody asked: everything stays as the plugins made it. An unreachable gateway throws `CniError`.
 */
export function settleDefaultRoutes(netns: Netns, attached: readonly Attached[]): Attached[] {
  let settled = [...attached];
  for (const choice of chooseDefaultRoutes(attached)) {
    applyChoice(netns, choice);
    settled = settled.map(({ attachment, result }) => ({
      attachment,
      result: settledResult(choice, attachment, result),
    }));
  }
  return settled;
}

/**
 * The choices that the annotation makes: an attachment with a gateway of a family gets that family's default route; one with an empty
 * list keeps the default route that its own config gives, unless another names a gateway. Families that nobody speaks of are not among
 * them. The plan refuses two gateways of one family, and two empty lists.
 */
export function chooseDefaultRoutes(attached: readonly Attached[]): Choice[] {
  if (!isAsked(attached)) return [];
  return ([4, 6] as const).flatMap((family): Choice[] => {
    const named = attached.flatMap(({ attachment: { name, ifName, defaultRoute } }) =>
      (defaultRoute ?? []).filter((ip) => ip.family === family).map((gateway) => ({ family, name, ifName, gateway })),
    );
    const kept = attached
      .filter(({ attachment, result }) => attachment.defaultRoute?.length === 0 && hasDefault(result, family))
      .map(({ attachment: { name, ifName } }) => ({ family, name, ifName }));
    return [...named, ...kept].slice(0, 1);
  });
}

function isAsked(attached: readonly Attached[]): boolean {
  for (const { attachment } of attached) if (attachment.defaultRoute !== undefined) return true;
  return false;
}

/** The result as it reads once the choice is carried out: the chosen one's default route is through the gateway, others have none. */
export function settledResult(choice: Choice, attachment: Attachment, result: Result): Result {
  const isChosen = attachment.ifName === choice.ifName;
  if (isChosen && choice.gateway === undefined) return result;
  const routes = result.routes.filter((route) => !isDefaultOf(route, choice.family));
  if (isChosen && choice.gateway !== undefined) routes.push({ dst: anywhere[choice.family], gw: choice.gateway });
  return routes.length === result.routes.length && !isChosen ? result : { ...result, routes };
}

function applyChoice(netns: Netns, { family, name, ifName, gateway }: Choice): void {
  const { rtnl } = netns;
  const { index } = requireLink(rtnl, ifName);
  const present = listRoutes(rtnl, { family, table: RT_TABLE_MAIN }).filter((route) => isDefault(route.destination));
  rtnl.run(...present.flatMap((route) => withoutOthers(route, gateway === undefined ? index : undefined)));
  if (gateway === undefined) return;
  try {
    rtnl.run(addRoute({ destination: anywhere[family], gateway, device: { index, name: ifName } }));
  } catch (error) {
    throw new CniError(
      code.invalidConfig,
      `network "${name}" (interface ${ifName}): error setting default gateway ${formatIp(gateway)}: ${CniError.from(error).message}`,
      "the pod's default-route must be in a subnet of that interface's addresses or routes",
      { cause: error },
    );
  }
}

/**
 * What leaves of a route only the ways over the device `kept`, or nothing of it. Several default routes of family 6 come as one with
 * several next hops, so a part of a route may have to stay.
 */
function withoutOthers(route: Route, kept: number | undefined): NetlinkRequest[] {
  const { nextHops: hops = [], device } = route;
  const staying = hops.filter((hop) => hop.device === kept);
  if (hops.length > 0 ? staying.length === hops.length : device === kept) return [];
  return staying.length === 0 ? [deleteRoute(route)] : [deleteRoute(route), addRoute({ ...route, nextHops: staying })];
}

function hasDefault({ routes }: Result, family: 4 | 6): boolean {
  return routes.some((route) => isDefaultOf(route, family));
}

function isDefaultOf(route: ResultRoute, family: 4 | 6): boolean {
  return isDefault(route.dst) && route.dst.ip.family === family;
}
