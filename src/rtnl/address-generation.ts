import { type NetlinkRequest, request } from "../netlink/message.ts";
import { AF_INET6, IFLA_AF_SPEC, RTM_NEWLINK } from "./constants.ts";
import { describeLink, encodeTarget, type LinkTarget } from "./link-change.ts";

// include/uapi/linux/if_link.h
const IFLA_INET6_ADDR_GEN_MODE = 8;

/** IN6_ADDR_GEN_MODE_*: how IPv6 makes addresses by itself, link-local and SLAAC ones, in the words of ip-link(8). */
const modes = { eui64: 0, none: 1, "stable-privacy": 2, random: 3 } as const;

export type AddressGenerationMode = keyof typeof modes;

/**
 * Sets how IPv6 makes addresses by itself on a link. It counts for what happens from now on (the link-local address is made when the
 * link comes up); addresses that are there stay, unlike after a write to the sysctl addr_gen_mode. EAFNOSUPPORT when IPv6 is not on
 * the link.
 */
export function setAddressGeneration(target: LinkTarget, mode: AddressGenerationMode): NetlinkRequest {
  return request(`set IPv6 address generation of ${describeLink(target)}`, RTM_NEWLINK, 0, (body) => {
    encodeTarget(target, body);
    body.nested(IFLA_AF_SPEC, (families) => {
      families.nested(AF_INET6, (inet6) => inet6.u8(IFLA_INET6_ADDR_GEN_MODE, modes[mode]));
    });
  });
}

/** The mode by the number that the sysctl addr_gen_mode shows; undefined for one that is unknown here. */
export function addressGenerationMode(number: number): AddressGenerationMode | undefined {
  return (Object.keys(modes) as AddressGenerationMode[]).find((mode) => modes[mode] === number);
}
