import { isErrno } from "../../libc/errno.ts";
import { readText, readTextIfExists, writeExisting } from "../../libc/file.ts";
import type { Logger } from "../../log/logger.ts";
import type { Netns } from "../../netns/netns.ts";
import { writeSysctl } from "../../netns/sysctl.ts";
import { type AddressGenerationMode, addressGenerationMode } from "../../rtnl/address-generation.ts";
import type { UndoScope } from "../../undo/undo.ts";
import type { EarlySysctls } from "./early-sysctls.ts";
import { explain } from "./explain.ts";

export interface PrepareOptions {
  readonly log: Logger;
  readonly undo: UndoScope;
  /** The interface will get an IPv6 address. */
  readonly hasIpv6: boolean;
  /** The interface is to tell its neighbours of its addresses when it comes up. */
  readonly announce: boolean;
  /** What the config wants to have set before the interface is up. */
  readonly setEarly: EarlySysctls | undefined;
}

export interface Prepared {
  /** How IPv6 is going to make the link-local address; undefined when that was not asked or is not known here. */
  readonly generation: AddressGenerationMode | undefined;
}

/**
 * Sets the sysctls of an interface that is still down, with one switch of namespace: arp_notify and ndisc_notify for the announcement;
 * for IPv6 it is switched on where it is off (on "lo" too, which carries the routes to own addresses; that gets an undo step), and
 * keep_addr_on_down is set, since IPv6 would drop the addresses of an interface that is set down for a moment. Between the two come those
 * of the config.
 *
 * An announcement that can't be switched on is logged, as it only speeds things up; the rest throws `CniError`. On a kernel without
 * IPv6 nothing is done for it: adding the address will say so.
 */
export function prepareInterface(pod: Netns, ifName: string, options: PrepareOptions): Prepared {
  return pod.enter(() => {
    if (options.announce) {
      announce(`net/ipv4/conf/${ifName}/arp_notify`, options.log);
      announce(`net/ipv6/conf/${ifName}/ndisc_notify`, options.log);
    }
    options.setEarly?.();
    if (!options.hasIpv6) return { generation: undefined };
    try {
      return prepareIpv6(pod, ifName, options.undo);
    } catch (error) {
      throw explain(`failed to enable IPv6 on "${ifName}"`, error);
    }
  });
}

function announce(key: string, log: Logger): void {
  try {
    writeExisting(pathOf(key), "1");
  } catch (error) {
    // On a kernel without IPv6 there is nothing to announce either.
    if (isErrno(error, "ENOENT")) return;
    log.error(`neighbours will not be told of new addresses: ${explain(`cannot set ${key}`, error).message}`);
  }
}

function prepareIpv6(pod: Netns, ifName: string, undo: UndoScope): Prepared {
  const folder = `net/ipv6/conf/${ifName}`;
  const state = readTextIfExists(pathOf(`${folder}/disable_ipv6`));
  if (state === undefined) return { generation: undefined };
  const loopback = "net/ipv6/conf/lo/disable_ipv6";
  if (isOn(readText(pathOf(loopback)))) {
    writeExisting(pathOf(loopback), "0");
    undo.push("IPv6 on lo", () => writeSysctl(pod, loopback, "1"));
  }
  if (isOn(state)) writeExisting(pathOf(`${folder}/disable_ipv6`), "0");
  writeExisting(pathOf(`${folder}/keep_addr_on_down`), "1");
  return { generation: addressGenerationMode(Number(readText(pathOf(`${folder}/addr_gen_mode`)))) };
}

function pathOf(key: string): string {
  return `/proc/sys/${key}`;
}

function isOn(value: string): boolean {
  return value.trim() !== "0";
}
