import type { Netns } from "../../netns/netns.ts";
import type { Link } from "../../rtnl/link.ts";

// include/uapi/linux/if_arp.h
const ARPHRD_ETHER = 1;

/** True for a device that carries Ethernet frames, loopback excepted. */
export function isEthernet({ hardwareType, loopback }: Link): boolean {
  return hardwareType === ARPHRD_ETHER && !loopback;
}

/** What EEXIST means for a link that was to be made as `ifName` in the pod. */
export function takenName(pod: Netns, ifName: string): string {
  return `pod ${pod.path} has an interface ${ifName} already, of another network or left by an attachment that was never deleted`;
}
