import { formatMac } from "../../ip/mac.ts";
import type { Netns } from "../../netns/netns.ts";
import { createLink, getLink, type Link, requireLink } from "../../rtnl/link.ts";
import { addLink, type LinkSpec, setLink } from "../../rtnl/link-change.ts";
import type { UndoScope } from "../../undo/undo.ts";
import { type Cures, errnoOf, explain } from "../common/explain.ts";
import type { MasterPlace } from "../common/master.ts";
import { deleteIfExists } from "../common/remove-link.ts";
import type { MacvlanConfig } from "./config.ts";

// include/uapi/linux/if_arp.h
const ARPHRD_ETHER = 1;

/**
 * Makes the macvlan in the pod under its final name, still down, and returns it; `undo` gets its deletion. Throws `CniError` when the
 * kernel refuses.
 */
export function createMacvlan(
  place: MasterPlace,
  master: Link,
  pod: Netns,
  ifName: string,
  config: MacvlanConfig,
  undo: UndoScope,
): Link {
  const { mode, mac, mtu, broadcastQueueLength } = config;
  const spec: LinkSpec = {
    name: ifName,
    parent: master.index,
    mac,
    mtu: mtu === 0 ? undefined : mtu,
    data: { kind: "macvlan", mode, broadcastQueueLength },
  };
  try {
    return place.isPod ? createBeside(pod, spec, undo) : createAcross(place.netns, pod, spec, undo);
  } catch (error) {
    throw explain("failed to create macvlan", error, creationCures(place, master, pod, config, ifName));
  }
}

/** Master and macvlan are both in the pod. */
function createBeside(pod: Netns, spec: LinkSpec, undo: UndoScope): Link {
  const link = createLink(pod.rtnl, spec);
  undo.push(`link ${spec.name}`, () => deleteIfExists(pod, spec.name));
  return link;
}

/** The master is in `home`, and the macvlan is born in the pod. */
function createAcross(home: Netns, pod: Netns, spec: LinkSpec, undo: UndoScope): Link {
  try {
    home.rtnl.run(addLink({ ...spec, netnsFd: pod.fd.number }));
  } catch (error) {
    if (errnoOf(error) !== "EEXIST" || getLink(pod.rtnl, spec.name) !== undefined) throw error;
    return createRenamed(home, pod, spec, undo);
  }
  undo.push(`link ${spec.name}`, () => deleteIfExists(pod, spec.name));
  return requireLink(pod.rtnl, spec.name);
}

/**
 * Kernels before 6.13 look for the new name in the namespace of the socket instead of the one that the link is for: on a node with an
 * "eth0", no "eth0" can be born in a pod. There it gets a name that nobody has, and then its own.
 */
function createRenamed(home: Netns, pod: Netns, spec: LinkSpec, undo: UndoScope): Link {
  const name = `new${crypto.getRandomValues(new Uint8Array(5)).toHex()}`;
  home.rtnl.run(addLink({ ...spec, name, netnsFd: pod.fd.number }));
  undo.push(`link ${spec.name} under its first name`, () => deleteIfExists(pod, name));
  const link = requireLink(pod.rtnl, name);
  pod.rtnl.run(setLink(link, { name: spec.name }));
  undo.push(`link ${spec.name}`, () => deleteIfExists(pod, spec.name));
  return { ...link, name: spec.name };
}

function creationCures(
  { netns }: MasterPlace,
  master: Link,
  pod: Netns,
  { mode, mac }: MacvlanConfig,
  ifName: string,
): Cures {
  const { name } = master;
  const isEthernet = master.hardwareType === ARPHRD_ETHER && !master.loopback;
  const rival =
    mode === "passthru"
      ? `${name} carries other macvlans, and passthru wants it for itself`
      : `a macvlan in mode passthru has ${name} for itself`;
  const bridge = master.master === undefined ? undefined : getLink(netns.rtnl, master.master);
  return {
    EEXIST: `pod ${pod.path} has an interface ${ifName} already, of another network or left by an attachment that was never deleted`,
    EBUSY:
      bridge === undefined
        ? `another kind of device (ipvlan, bond, Open vSwitch …) has ${name} for itself; use another master, or one plugin type for all networks on it`
        : `${name} is a port of ${bridge.name}; name ${bridge.name} as the master`,
    EINVAL: isEthernet ? rival : `${name} is no Ethernet device, which the master of a macvlan has to be`,
    ENODEV: `master ${name} is gone since it was looked up`,
    EADDRNOTAVAIL: `no device can have the MAC ${formatMac(mac ?? master.mac)}`,
    EOPNOTSUPP: "this kernel has no macvlan; try `modprobe macvlan` on the node",
  };
}

/** What a refusal to bring up a macvlan means. */
export function upCures(link: Link, master: Link): Cures {
  return {
    EADDRINUSE: `MAC ${formatMac(link.mac)} is ${master.name}'s own or that of another macvlan on it; choose another or leave "mac" out`,
  };
}
