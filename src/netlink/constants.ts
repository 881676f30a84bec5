// include/uapi/linux/netlink.h: names and values as the kernel has them.

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;

export const NLM_F_REQUEST = 0x01;
export const NLM_F_MULTI = 0x02;
export const NLM_F_ACK = 0x04;
export const NLM_F_DUMP_INTR = 0x10;

// Modifiers of a GET request.
export const NLM_F_ROOT = 0x100;
export const NLM_F_MATCH = 0x200;
export const NLM_F_DUMP = NLM_F_ROOT | NLM_F_MATCH;

// Modifiers of a NEW request.
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;

// Flags of an acknowledgement.
export const NLM_F_CAPPED = 0x100;
export const NLM_F_ACK_TLVS = 0x200;

export const NLMSG_NOOP = 1;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLMSG_OVERRUN = 4;
export const NLMSG_MIN_TYPE = 0x10;

export const NLMSGERR_ATTR_MSG = 1;
export const NLMSGERR_ATTR_OFFS = 2;
export const NLMSGERR_ATTR_MISS_TYPE = 5;

export const NLA_F_NESTED = 0x8000;
export const NLA_F_NET_BYTEORDER = 0x4000;
export const NLA_TYPE_MASK = 0x3fff;

/** sizeof(struct nlmsghdr), which is NLMSG_HDRLEN. */
export const messageHeaderBytes = 16;
/** sizeof(struct nlattr), which is NLA_HDRLEN. */
export const attributeHeaderBytes = 4;

// include/linux/socket.h
export const SOL_NETLINK = 270;

// Options of level SOL_NETLINK.
export const NETLINK_CAP_ACK = 10;
export const NETLINK_EXT_ACK = 11;
export const NETLINK_GET_STRICT_CHK = 12;

/** NLMSG_ALIGN(len) and NLA_ALIGN(len): both round up to a multiple of 4. */
export function align(bytes: number): number {
  return (bytes + 3) & ~3;
}

/** The `littleEndian` argument of a DataView for host byte order: x64 and arm64, all we build for, have the same. */
export const hostOrder = true;
