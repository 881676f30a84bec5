import { CniError, code } from "../../cni/error.ts";
import { formatMac } from "../../ip/mac.ts";
import type { Netns } from "../../netns/netns.ts";
import { createLink, getLink, type Link } from "../../rtnl/link.ts";
import type { UndoScope } from "../../undo/undo.ts";
import { type Cures, errnoOf, explain } from "./explain.ts";
import { type Attachment, hostName, hostNamesMax } from "./host-end.ts";
import { deleteIfExists } from "./remove-link.ts";

/** Both ends of a veth pair; both are down. */
export interface VethPair {
  readonly pod: Link;
  readonly host: { readonly index: number; readonly name: string };
}

export interface VethOptions {
  /** Of both ends; 0 leaves it to the kernel. */
  readonly mtu: number;
  /** Of the pod's end; undefined leaves it to the kernel. */
  readonly mac: Uint8Array | undefined;
}

const macBytes = 6;

/**
 * Makes a veth pair in one request: `attachment.ifName` in the pod, the other end on the node under a name of its own, with no transmit
 * queue, as upstream has it. Its MAC is chosen here, because udev gives another one to a device whose MAC the kernel has drawn, also when
 * the result is out already. `undo` gets the deletion. Throws `CniError`, with upstream's text for a name that the pod has already.
 */
export function createVeth(
  pod: Netns,
  host: Netns,
  attachment: Attachment,
  options: VethOptions,
  undo: UndoScope,
): VethPair {
  for (let attempt = 0; ; attempt++) {
    const name = hostName(attachment, attempt);
    try {
      const link = create(pod, host, attachment.ifName, name, options);
      undo.push(`link ${attachment.ifName}`, () => deleteIfExists(pod, attachment.ifName));
      return { pod: link, host: { index: peerOf(link), name } };
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw explain("failed to make veth pair", error, cures(options));
      if (getLink(pod.rtnl, attachment.ifName) !== undefined || attempt + 1 === hostNamesMax) {
        throw taken(pod, attachment.ifName, name, error);
      }
    }
  }
}

/** A MAC drawn by chance, as the kernel does it (eth_random_addr() in include/linux/etherdevice.h): a single station, locally administered. */
export function randomMac(): Uint8Array {
  const mac = crypto.getRandomValues(new Uint8Array(macBytes));
  mac[0] = ((mac[0] ?? 0) & 0xfc) | 2;
  return mac;
}

function create(pod: Netns, host: Netns, ifName: string, hostName: string, options: VethOptions): Link {
  const mtu = options.mtu === 0 ? undefined : options.mtu;
  const peer = { name: hostName, mtu, mac: randomMac(), txQueueLength: 0, netnsFd: host.fd.number };
  return createLink(pod.rtnl, { name: ifName, mtu, mac: options.mac, data: { kind: "veth", peer } });
}

/** A veth reports its peer's index, counted in the peer's namespace, as that of the device it stands on. */
function peerOf(link: Link): number {
  if (link.parent !== undefined) return link.parent;
  throw new CniError(code.internal, `failed to make veth pair: the kernel did not tell the peer of "${link.name}"`);
}

function taken(pod: Netns, ifName: string, hostName: string, cause: unknown): CniError {
  return new CniError(
    code.internal,
    `container veth name ("${ifName}") peer provided ("${hostName}") already exists: pod ${pod.path} has an interface ${ifName} of another network, or of an attachment that was never deleted`,
    "",
    { cause },
  );
}

function cures({ mtu, mac }: VethOptions): Cures {
  return {
    EADDRNOTAVAIL: mac === undefined ? "no device can have this MAC" : `no device can have the MAC ${formatMac(mac)}`,
    EINVAL: mtu === 0 ? "the kernel does not know one of its settings" : `a veth can't have an MTU of ${mtu}`,
    EOPNOTSUPP: "this kernel has no veth; try `modprobe veth` on the node",
  };
}
