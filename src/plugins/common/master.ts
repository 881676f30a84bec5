import { CniError, code } from "../../cni/error.ts";
import type { Result } from "../../cni/result.ts";
import { isDefault } from "../../ip/prefix.ts";
import type { Netns } from "../../netns/netns.ts";
import { RT_TABLE_MAIN, RTN_UNICAST } from "../../rtnl/constants.ts";
import { getLink, type Link, listLinks } from "../../rtnl/link.ts";
import { listRoutes, type Route } from "../../rtnl/route.ts";
import { listNames, nearMisses } from "../../words/near-miss.ts";
import { explained } from "./explain.ts";

/** Where a plugin looks for the device it builds on: on the node, or in the pod (`linkInContainer`). */
export interface MasterPlace {
  readonly netns: Netns;
  readonly isPod: boolean;
}

/** The place of a plugin's master by its config key `linkInContainer`. */
export function placeOf(isMasterInPod: boolean, host: Netns, pod: Netns): MasterPlace {
  return isMasterInPod ? { netns: pod, isPod: true } : { netns: host, isPod: false };
}

const shownNamesMax = 12;

/**
 * The device of that name; without a name ("" or undefined) that of the namespace's first default route in the main table, IPv4 before
 * IPv6. Throws `CniError`: code 7 for a name that is not there, with the names that are, 999 when there is no default route.
 */
export function findMaster(place: MasterPlace, name: string | undefined): Link {
  return explained(`failed to look up master ${name ?? ""} ${whereIs(place)}`, () =>
    name === undefined || name === ""
      ? deviceOfDefaultRoute(place)
      : (getLink(place.netns.rtnl, name) ?? missing(place, name)),
  );
}

/**
 * Throws `CniError` code 7 unless `mtu` is from 0 (which leaves it to the kernel) to the master's. The smallest that the kernel takes
 * (68 as a rule) is checked here too, since its refusal names no number.
 */
export function validateMtu(mtu: number, master: Link): void {
  const smallest = master.minMtu ?? 0;
  if (mtu === 0 || (mtu >= smallest && mtu <= master.mtu)) return;
  const advice =
    mtu > master.mtu
      ? `lower it to ${master.mtu}, or raise the MTU of ${master.name} and of the network behind it`
      : `0 or no mtu leaves it to the kernel, else ${smallest} is the least`;
  throw new CniError(code.invalidConfig, `invalid MTU ${mtu}, must be [0, master MTU(${master.mtu})]; ${advice}`);
}

/**
 * The interface of a previous result that has just one, if it is where the master is to be: so a plugin can stand behind one that makes its
 * master. Undefined otherwise.
 */
export function chainedMaster(prevResult: Result | undefined, isInPod: boolean): string | undefined {
  const named = prevResult?.interfaces.filter(({ name }) => name !== "") ?? [];
  const [only] = named;
  if (only === undefined || named.length > 1) return undefined;
  return ((only.sandbox ?? "") !== "") === isInPod ? only.name : undefined;
}

/** For STATUS: throws `CniError` code 50, in `findMaster`'s words, when no master can be found on the node. */
export function requireMaster(host: Netns, name: string | undefined): void {
  try {
    findMaster({ netns: host, isPod: false }, name);
  } catch (error) {
    const { message, details } = CniError.from(error);
    throw new CniError(code.notAvailable, message, details, { cause: error });
  }
}

/** For messages: "on the node" or "in pod /run/netns/x". */
export function whereIs({ netns, isPod }: MasterPlace): string {
  return isPod ? `in pod ${netns.path}` : "on the node";
}

function deviceOfDefaultRoute(place: MasterPlace): Link {
  const index = listRoutes(place.netns.rtnl, { table: RT_TABLE_MAIN, type: RTN_UNICAST })
    .filter(({ destination }) => isDefault(destination))
    .map(deviceOf)
    .find((device) => device !== undefined);
  const link = index === undefined ? undefined : getLink(place.netns.rtnl, index);
  if (link !== undefined) return link;
  throw new CniError(
    code.internal,
    `no default route interface found ${whereIs(place)}; name the device in "master" (${interfacesOf(place)})`,
  );
}

function deviceOf({ device, nextHops }: Route): number | undefined {
  return device ?? nextHops?.find((hop) => hop.device !== 0)?.device;
}

function missing(place: MasterPlace, name: string): never {
  const names = listLinks(place.netns.rtnl).map((link) => link.name);
  const alike = nearMisses(name, names);
  const hint = alike.length === 0 ? "" : `; did you mean ${alike.join(" or ")}?`;
  throw new CniError(
    code.invalidConfig,
    `Link not found: master ${JSON.stringify(name)} does not exist ${whereIs(place)}${hint} (${interfacesOf(place)})`,
  );
}

/** The interfaces that can be meant: without loopback and without the node's ends of pods, unless there is nothing else. */
function interfacesOf({ netns, isPod }: MasterPlace): string {
  const links = listLinks(netns.rtnl).filter(({ loopback }) => !loopback);
  const likely = links.filter(({ kind, parentNetnsId }) => kind !== "veth" || parentNetnsId === undefined);
  const names = (isPod || likely.length === 0 ? links : likely).map(({ name }) => name);
  if (names.length === 0) return "it has no interfaces";
  return `it has ${listNames(names, shownNamesMax)}`;
}
