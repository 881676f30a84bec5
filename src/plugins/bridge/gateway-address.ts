import { CniError, code } from "../../cni/error.ts";
import { formatPrefix, isAmong, overlaps, type Prefix } from "../../ip/prefix.ts";
import type { ErrnoName } from "../../libc/errno.ts";
import type { NetlinkRequest } from "../../netlink/message.ts";
import type { Netns } from "../../netns/netns.ts";
import { addAddress, deleteAddress, listAddresses } from "../../rtnl/address.ts";
import { IFA_F_NODAD } from "../../rtnl/constants.ts";
import { type Link, requireLink } from "../../rtnl/link.ts";
import { setLink } from "../../rtnl/link-change.ts";
import { explain, explained } from "../common/explain.ts";
import { withNetnsLock } from "../common/netns-lock.ts";
import type { BridgeConfig } from "./config.ts";

export type AddressPolicy = Pick<BridgeConfig, "forceAddress" | "detectDuplicates">;

interface Step {
  readonly request: NetlinkRequest;
  readonly operation: string;
  /** The refusal that says that it is so already: upstream's plugin changes addresses too, and does not know the lock. */
  readonly fine: ErrnoName;
}

/**
 * Gives the gateways to the device that stands for them. One that is there is fine; another IPv4 address, and an IPv6 address of an
 * overlapping network, is in the way: it is deleted with `forceAddress`, else `CniError` says so in upstream's words. The device's MAC
 * is set to what it is, as upstream does it: pods remember the gateway's, so it must not change with the bridge's ports any more.
 *
 * Without a change this is one dump. Changes happen under the namespace's lock: of two networks that want different addresses on one
 * bridge, one is to fail. They stay when ADD fails, as they stay after DEL: other pods may rely on them by then.
 */
export function ensureGateways(host: Netns, device: Link, wanted: readonly Prefix[], policy: AddressPolicy): void {
  if (missingFrom(addressesOf(host, device), wanted).length === 0) return;
  withNetnsLock(host, () => change(host, device, wanted, policy));
}

/** Those of the gateways that the device does not have. */
export function missingGateways(host: Netns, device: Link, wanted: readonly Prefix[]): readonly Prefix[] {
  return missingFrom(addressesOf(host, device), wanted);
}

function change(host: Netns, device: Link, wanted: readonly Prefix[], policy: AddressPolicy): void {
  const present = addressesOf(host, device);
  const missing = missingFrom(present, wanted);
  const rivals = present.filter((one) => !isAmong(wanted, one) && missing.some((gateway) => excludes(gateway, one)));
  const [rival] = rivals;
  if (rival !== undefined && !policy.forceAddress) throw occupied(device, missing, rival);
  const quoted = JSON.stringify(device.name);
  const steps: readonly Step[] = [
    ...rivals.map((prefix): Step => ({
      request: deleteAddress({ device, prefix }),
      operation: `could not remove IP address from ${quoted}`,
      fine: "EADDRNOTAVAIL",
    })),
    ...missing.map((prefix): Step => ({
      request: addAddress({ device, prefix, flags: flagsOf(prefix, policy) }),
      operation: `could not add IP address ${formatPrefix(prefix)} to ${quoted}`,
      fine: "EEXIST",
    })),
  ];
  const errors = host.rtnl.batch(steps.map(({ request }) => request));
  for (const [position, { operation, fine }] of steps.entries()) {
    const error = errors[position];
    if (error !== undefined && error.code !== fine) throw explain(operation, error, addressCures);
  }
  pinMac(host, device);
}

/** Usable at once, unless duplicates are to be looked for. */
function flagsOf({ ip }: Prefix, { detectDuplicates }: AddressPolicy): number | undefined {
  return ip.family === 6 && !detectDuplicates ? IFA_F_NODAD : undefined;
}

const addressCures = {
  EACCES: "IPv6 is switched off on it (sysctl disable_ipv6)",
  EAFNOSUPPORT: "this kernel runs without IPv6",
  EOPNOTSUPP: "this kernel runs without IPv6",
  EADDRNOTAVAIL: "no host can have this address",
  EINVAL: "no host can have this address",
} as const;

function pinMac(host: Netns, device: Link): void {
  explained("could not set bridge's mac", () => {
    const isSet = device.mac.some((byte) => byte !== 0);
    // A bridge whose last port has left has no MAC, unless it was given one: the new port's it is, then.
    const { mac } = isSet ? device : requireLink(host.rtnl, device);
    host.rtnl.run(setLink(device, { mac }));
  });
}

function addressesOf(host: Netns, device: Link): readonly Prefix[] {
  const prefixes: Prefix[] = [];
  const addresses = explained("could not get list of IP addresses", () => listAddresses(host.rtnl, { device }));
  for (const { prefix } of addresses) prefixes.push(prefix);
  return prefixes;
}

function missingFrom(present: readonly Prefix[], wanted: readonly Prefix[]): readonly Prefix[] {
  const missing: Prefix[] = [];
  for (const gateway of wanted) if (!isAmong(present, gateway)) missing.push(gateway);
  return missing;
}

function excludes(gateway: Prefix, other: Prefix): boolean {
  return gateway.ip.family === other.ip.family && (gateway.ip.family === 4 || overlaps(gateway, other));
}

function occupied(device: Link, missing: readonly Prefix[], rival: Prefix): CniError {
  const gateway = missing.find((one) => excludes(one, rival)) ?? rival;
  return new CniError(
    code.internal,
    `${JSON.stringify(device.name)} already has an IP address different from ${formatPrefix(gateway)}: it has ${formatPrefix(rival)}; name another bridge, or let "forceAddress" replace it`,
  );
}
