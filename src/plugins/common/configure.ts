import { CniError, code } from "../../cni/error.ts";
import type { Result, ResultIp } from "../../cni/result.ts";
import { formatIp } from "../../ip/address.ts";
import { equalPrefix, formatPrefix, hostPrefix, type Prefix } from "../../ip/prefix.ts";
import type { ErrnoName } from "../../libc/errno.ts";
import type { Logger } from "../../log/logger.ts";
import type { NetlinkRequest } from "../../netlink/message.ts";
import type { Netns } from "../../netns/netns.ts";
import { addAddress } from "../../rtnl/address.ts";
import { type AddressGenerationMode, setAddressGeneration } from "../../rtnl/address-generation.ts";
import { IFA_F_NODAD, RT_SCOPE_LINK, RT_SCOPE_UNIVERSE } from "../../rtnl/constants.ts";
import type { Link } from "../../rtnl/link.ts";
import { setLink } from "../../rtnl/link-change.ts";
import { prependRoute, type RouteSpec } from "../../rtnl/route.ts";
import type { UndoScope } from "../../undo/undo.ts";
import { awaitDetection } from "./duplicate-detection.ts";
import type { EarlySysctls } from "./early-sysctls.ts";
import { type Cures, explain } from "./explain.ts";
import { prepareInterface } from "./interface-sysctls.ts";
import { linkLocalOf } from "./link-local.ts";
import { describePlan, planRoutes } from "./route-plan.ts";

export interface ConfigureOptions {
  readonly log: Logger;
  readonly undo: UndoScope;
  /** Tell the neighbours when the interface comes up, by gratuitous ARP and unsolicited neighbour advertisement. */
  readonly announce: boolean;
  /** Have IPv6 probe for duplicates and wait for the outcome: 1 to 2 s. Otherwise addresses are usable at once (docs/ipv6-dad.md). */
  readonly detectDuplicates: boolean;
  /** What the config wants to have set before the interface is up (`earlySysctls`). */
  readonly setEarly: EarlySysctls | undefined;
  /** What a refusal to bring up this kind of interface means. */
  readonly upCures?: () => Cures;
}

/** The part of a result that is configured. */
export type Addressing = Pick<Result, "interfaces" | "ips" | "routes">;

const noCures = (): Cures => ({});

/** One request of the batch, and how its failure reads: in upstream's words, which are put together only then. */
interface Step {
  readonly request: NetlinkRequest;
  readonly operation: () => string;
  readonly cures: () => Cures;
  /** A refusal that means that all is as wanted already. */
  readonly fine?: ErrnoName;
}

/**
 * Puts the addresses and routes of `result` that are of its interface number `index` on `link` of the pod, and brings it up: one batch
 * of requests in the order addresses, up, routes, since what is announced at "up" are the addresses that are there by then. IPs
 * without interface are left alone; no interfaces at all and an IP of another interface are errors, as upstream has them.
 *
 * Everything goes away with the link; only what was changed on "lo" gets an undo step. The first refusal of the kernel is thrown as
 * a `CniError` with cause and cure.
 */
export function configureInterface(
  pod: Netns,
  link: Link,
  result: Addressing,
  index: number,
  options: ConfigureOptions,
): void {
  const ips = ipsOf(result, index, link.name);
  const routes = planRoutes(result.routes, ips, link);
  const prefixes: Prefix[] = [];
  let hasIpv6 = false;
  for (const { address } of ips) {
    prefixes.push(address);
    hasIpv6 ||= address.ip.family === 6;
  }
  const { generation } = prepareInterface(pod, link.name, { ...options, hasIpv6 });
  const linkLocal = hasIpv6 && !options.detectDuplicates && generation === "eui64" ? linkLocalOf(link) : undefined;
  // The kernel would probe for its own link-local address: keep it from making one, and make the same one without probing. That is done
  // behind "up", so that routers are solicited at once.
  const steps: Step[] = [];
  if (linkLocal !== undefined) steps.push(generate(link, "none"));
  for (const prefix of prefixes) steps.push(address(link, prefix, options.detectDuplicates));
  steps.push(up(link, options.upCures ?? noCures));
  if (linkLocal !== undefined) steps.push(...linkLocalSteps(link, linkLocal));
  for (const spec of routes) steps.push(route(link, spec, prefixes));
  run(pod, steps);
  if (hasIpv6 && options.detectDuplicates) awaitDetection(pod, link, prefixes, options.log);
}

/** Brings a link up that gets no addresses, once its sysctls are set. Throws a `CniError`. */
export function bringUp(
  pod: Netns,
  link: Link,
  setEarly: EarlySysctls | undefined,
  cures: () => Cures = noCures,
): void {
  if (setEarly !== undefined) pod.enter(setEarly);
  run(pod, [up(link, cures)]);
}

function ipsOf({ interfaces, ips }: Addressing, index: number, ifName: string): ResultIp[] {
  if (interfaces.length === 0) throw new CniError(code.internal, "no interfaces to configure");
  const own: ResultIp[] = [];
  for (const ip of ips) {
    if (ip.interface === undefined) continue;
    if (ip.interface !== index) throw strayIp(ip, index, ifName);
    if (!holds(own, ip)) own.push(ip);
  }
  return own;
}

function holds(ips: readonly ResultIp[], { address }: ResultIp): boolean {
  for (const each of ips) if (equalPrefix(each.address, address)) return true;
  return false;
}

function strayIp(ip: ResultIp, index: number, ifName: string): CniError {
  return new CniError(
    code.internal,
    `failed to add IP addr ${formatPrefix(ip.address)} to "${ifName}": it is meant for interface ${ip.interface} of the result, this one is ${index}`,
  );
}

function run(pod: Netns, steps: readonly Step[]): void {
  const requests: NetlinkRequest[] = [];
  for (const { request } of steps) requests.push(request);
  const errors = pod.rtnl.batch(requests);
  for (const step of steps) {
    const error = errors.shift();
    if (error !== undefined && error.code !== step.fine) throw explain(step.operation(), error, step.cures());
  }
}

function address(link: Link, prefix: Prefix, detectDuplicates: boolean): Step {
  const flags = prefix.ip.family === 6 && !detectDuplicates ? IFA_F_NODAD : undefined;
  return {
    request: addAddress({ device: link, prefix, flags }),
    operation: () => `failed to add IP addr ${formatPrefix(prefix)} to "${link.name}"`,
    cures: () => addressCures,
  };
}

const addressCures: Cures = {
  EEXIST: "the interface has this address already",
  EACCES: "IPv6 is switched off on the interface (sysctl disable_ipv6)",
  EAFNOSUPPORT: "this kernel runs without IPv6",
  EOPNOTSUPP: "this kernel runs without IPv6",
  EINVAL: "no host can have this address",
  EADDRNOTAVAIL: "no host can have this address",
};

function up(link: Link, cures: () => Cures): Step {
  return { request: setLink(link, { up: true }), operation: () => `failed to set "${link.name}" UP`, cures };
}

function generate(link: Link, mode: AddressGenerationMode): Step {
  return {
    request: setAddressGeneration(link, mode),
    operation: () => `failed to set how IPv6 makes addresses on "${link.name}"`,
    cures: noCures,
  };
}

function linkLocalSteps(link: Link, ip: Prefix["ip"]): Step[] {
  const prefix = { ip, bits: 64 };
  const request = addAddress({ device: link, prefix, scope: RT_SCOPE_LINK, flags: IFA_F_NODAD });
  // One that the IPAM plugin gave is there already.
  const step: Step = { ...address(link, prefix, false), request, fine: "EEXIST" };
  return [step, generate(link, "eui64")];
}

function route(link: Link, spec: RouteSpec, prefixes: readonly Prefix[]): Step {
  return {
    // Not NLM_F_EXCL: a route of another interface with that destination and metric is not in the way, as upstream has it. EEXIST is
    // then said only of one that is the same in all.
    request: prependRoute(spec),
    operation: () => `failed to add route '${describePlan(spec, link.name)}'`,
    cures: () => routeCures(link, spec, prefixes),
    fine: "EEXIST",
  };
}

function routeCures(link: Link, spec: RouteSpec, prefixes: readonly Prefix[]): Cures {
  const gateway = spec.gateway ?? spec.nextHops?.find((hop) => hop.gateway !== undefined)?.gateway;
  if (gateway === undefined) return { EINVAL: "the destination or the scope makes no sense" };
  const have = prefixes.map(formatPrefix).join(", ") || "no addresses";
  const first = JSON.stringify({ dst: formatPrefix(hostPrefix(gateway)), scope: RT_SCOPE_LINK });
  const unreachable = `gateway ${formatIp(gateway)} is in no subnet of ${link.name} (${have}); give the address a prefix that covers it or put the route ${first} first`;
  const invalid =
    (spec.scope ?? RT_SCOPE_UNIVERSE) >= RT_SCOPE_LINK
      ? "a scope of link or host and a gateway exclude each other"
      : `${unreachable}; it can't be an address of the pod's own either`;
  return { ENETUNREACH: unreachable, EHOSTUNREACH: unreachable, EINVAL: invalid };
}
