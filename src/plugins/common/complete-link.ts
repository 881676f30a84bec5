import { CniError, code } from "../../cni/error.ts";
import type { AddCall } from "../../cni/plugin.ts";
import type { Dns, Result, ResultIp } from "../../cni/result.ts";
import { formatMac } from "../../ip/mac.ts";
import type { Netns } from "../../netns/netns.ts";
import type { Link } from "../../rtnl/link.ts";
import { bringUp, configureInterface } from "./configure.ts";
import { chooseDns } from "./dns.ts";
import type { EarlySysctls } from "./early-sysctls.ts";
import type { Cures } from "./explain.ts";
import { deleteIfExists } from "./remove-link.ts";

export interface CompleteOptions {
  /** The config's own DNS settings. */
  readonly dns: Dns | undefined;
  /** `enabledad`: see `ConfigureOptions`. */
  readonly detectDuplicates: boolean;
  /** See `ConfigureOptions`. */
  readonly setEarly: EarlySysctls | undefined;
  /** What a refusal to bring up this kind of interface means. */
  readonly upCures?: () => Cures;
}

/**
 * The second half of an ADD, for a link of the pod that was just made and is down: addresses from the IPAM plugin if the config names one,
 * then they, their routes and "up". Returns the result of the whole: the one interface and what it was given. `call.undo` gives the
 * addresses back, after the link is gone. Throws the IPAM plugin's `CniError`, or one for what the kernel refuses.
 */
export async function completeLink(
  call: AddCall<unknown>,
  pod: Netns,
  link: Link,
  options: CompleteOptions,
): Promise<Result> {
  if (call.ipam.type !== "") return configureLink(call, pod, link, await leaseAddresses(call, pod), options);
  bringUp(pod, link, options.setEarly, options.upCures);
  return { interfaces: [entryOf(pod, link)], ips: [], routes: [], dns: options.dns ?? {} };
}

/** The IPAM plugin's ADD. Throws what that throws, and `CniError` for a result without any address. */
export async function leaseAddresses({ ipam, ifName, undo }: AddCall<unknown>, pod: Netns): Promise<Result> {
  const given = await ipam.add(undo);
  // Once more, so that a failure from here on takes the link away before its addresses are given back.
  undo.push(`link ${ifName}`, () => deleteIfExists(pod, ifName));
  if (given.ips.length === 0) throw new CniError(code.internal, "IPAM plugin returned missing IP config");
  return given;
}

/** Gives the link all addresses and routes of `given`, whatever interface that says, and brings it up. As `completeLink`. */
export function configureLink(
  { log, undo }: AddCall<unknown>,
  pod: Netns,
  link: Link,
  given: Result,
  { dns, detectDuplicates, setEarly, upCures }: CompleteOptions,
): Result {
  const ips: ResultIp[] = [];
  for (const ip of given.ips) ips.push({ ...ip, interface: 0 });
  const result = { interfaces: [entryOf(pod, link)], ips, routes: given.routes, dns: chooseDns(dns, given.dns) };
  configureInterface(pod, link, result, 0, {
    log,
    undo,
    announce: true,
    detectDuplicates,
    setEarly,
    ...(upCures === undefined ? {} : { upCures }),
  });
  return result;
}

function entryOf(pod: Netns, { name, mac, mtu }: Link) {
  return { name, mac: formatMac(mac), mtu, sandbox: pod.path };
}
