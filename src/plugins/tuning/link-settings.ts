import { CniError } from "../../cni/error.ts";
import { formatMac, parseMac } from "../../ip/mac.ts";
import type { NetlinkRequest } from "../../netlink/message.ts";
import type { Netns } from "../../netns/netns.ts";
import type { Link } from "../../rtnl/link.ts";
import { setLink } from "../../rtnl/link-change.ts";
import { type Cures, explain } from "../common/explain.ts";

/** What can be tuned of an interface, by upstream's names; undefined leaves it as it is. MACs are lower-case colon form. */
export interface LinkSettings {
  readonly mac?: string | undefined;
  readonly promisc?: boolean | undefined;
  readonly mtu?: number | undefined;
  readonly allmulti?: boolean | undefined;
  readonly txQLen?: number | undefined;
}

/** The names, in the order in which a backup has them. */
export const settingNames = ["mac", "promisc", "mtu", "allmulti", "txQLen"] as const;

/** True when something is to be set. */
export function hasSettings(settings: LinkSettings): boolean {
  for (const name of settingNames) if (settings[name] !== undefined) return true;
  return false;
}

/** What the interface has now. */
export function settingsOf(link: Link): LinkSettings {
  const { promisc, mtu, allmulti, txQueueLength } = link;
  return { mac: formatMac(link.mac), promisc, mtu, allmulti, txQLen: txQueueLength };
}

/** Sets what is given, in one send; returns what was refused, each as a `CniError` that says which setting and why. */
export function applySettings(netns: Netns, link: Link, settings: LinkSettings): CniError[] {
  const steps = stepsOf(link, settings);
  const errors = netns.rtnl.batch(steps.map(({ request }) => request));
  const refused: CniError[] = [];
  for (const [at, { what, cures }] of steps.entries()) {
    const error = errors[at];
    if (error !== undefined) refused.push(explain(`failed to set ${what} of "${link.name}"`, error, cures));
  }
  return refused;
}

interface Step {
  readonly request: NetlinkRequest;
  /** "the MTU 1400". */
  readonly what: string;
  readonly cures: Cures;
}

/** One request for each, since a refusal does not say what it refuses. */
function stepsOf(link: Link, { mac, promisc, mtu, allmulti, txQLen }: LinkSettings): Step[] {
  const steps: Step[] = [];
  const add = (what: string, change: Parameters<typeof setLink>[1], cures: Cures = {}) =>
    steps.push({ request: setLink(link, change), what, cures });
  if (mac !== undefined) add(`the MAC ${mac}`, { mac: parseMac(mac) }, macCures(link));
  if (mtu !== undefined) add(`the MTU ${mtu}`, { mtu }, mtuCures(link));
  if (promisc !== undefined) add(`promiscuous mode ${promisc ? "on" : "off"}`, { promisc });
  if (allmulti !== undefined) add(`all-multicast mode ${allmulti ? "on" : "off"}`, { allmulti });
  if (txQLen !== undefined) add(`the transmit queue length ${txQLen}`, { txQueueLength: txQLen });
  return steps;
}

function macCures({ kind }: Link): Cures {
  const device = kind === "" ? "this device" : `a device of kind ${kind}`;
  return {
    EBUSY: `${device} can't change it while it is up; give "mac" to the plugin that makes the interface`,
    EADDRINUSE: "its master or another device on that has it; choose another",
    EADDRNOTAVAIL: "no device can have it",
    EOPNOTSUPP: `${device} can't have a MAC of its own`,
  };
}

function mtuCures({ kind, minMtu, maxMtu }: Link): Cures {
  const least = minMtu ?? 0;
  const most = maxMtu === undefined || maxMtu === 0 ? "" : ` to ${maxMtu}`;
  const master =
    kind === "macvlan" || kind === "ipvlan" || kind === "vlan" ? ", and not more than the device it stands on has" : "";
  const limits = `it takes ${least}${most}${master}`;
  return { EINVAL: limits, ERANGE: limits };
}
