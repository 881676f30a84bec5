// The instructions of nf_tables' small machine, one interface for each kind that polynic writes or needs to recognise. A rule is a
// list of them, worked off until one does not match or gives a verdict. Values are bytes as the machine compares them: addresses
// and ports in network order, marks and the kernel's own numbers in host order.

/** Registers by kernel number: NFT_REG_1 and NFT_REG_2 of include/uapi/linux/netfilter/nf_tables.h, 16 bytes each. */
export type Register = number;

export type CompareOperator = "==" | "!=" | "<" | "<=" | ">" | ">=";

/** Where a payload's offset counts from: NFT_PAYLOAD_LL_HEADER, NFT_PAYLOAD_NETWORK_HEADER, NFT_PAYLOAD_TRANSPORT_HEADER. */
export type PayloadBase = "link" | "network" | "transport";

/** Properties of a packet that are not in it, by nft's words for NFT_META_*. */
export type MetaKey = "protocol" | "mark" | "iifname" | "oifname" | "nfproto" | "l4proto";

/** Loads `bytes` bytes of the packet. */
export interface Payload {
  readonly kind: "payload";
  readonly base: PayloadBase;
  readonly offset: number;
  readonly bytes: number;
  readonly register: Register;
}

/** Ends the rule unless the register compares so with `value`. */
export interface Compare {
  readonly kind: "cmp";
  readonly register: Register;
  readonly operator: CompareOperator;
  readonly value: Uint8Array;
}

/** Ends the rule unless the register is within `from` and `to`, both included, or, inverted, outside; all are equally long. */
export interface Range {
  readonly kind: "range";
  readonly register: Register;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  readonly isInverted: boolean;
}

/** Loads the state of the packet's connection: one bit of NF_CT_STATE_BIT() in host order. */
export interface ConnectionState {
  readonly kind: "ct";
  readonly key: "state";
  readonly register: Register;
}

/** Loads a property into the register, or sets the property from it. */
export interface Meta {
  readonly kind: "meta";
  readonly key: MetaKey;
  readonly direction: "load" | "set";
  readonly register: Register;
}

/** register = (register & mask) ^ xor; mask and xor are equally long. */
export interface Bitwise {
  readonly kind: "bitwise";
  readonly register: Register;
  readonly mask: Uint8Array;
  readonly xor: Uint8Array;
}

/** Loads a constant. */
export interface Immediate {
  readonly kind: "immediate";
  readonly register: Register;
  readonly value: Uint8Array;
}

export type VerdictWord = "accept" | "drop" | "return" | "jump" | "goto";

/** Ends the rule; `chain` is where "jump" and "goto" lead. */
export interface Verdict {
  readonly kind: "verdict";
  readonly verdict: VerdictWord;
  readonly chain?: string;
}

/** Source NAT to the address of the interface that the packet leaves by. */
export interface Masquerade {
  readonly kind: "masq";
}

/** NAT to the address, and port, in these registers. */
export interface Nat {
  readonly kind: "nat";
  readonly type: "snat" | "dnat";
  readonly family: 4 | 6;
  readonly address: Register;
  readonly port?: Register;
}

/** Loads the type (RTN_* of include/uapi/linux/rtnetlink.h) that the routing tables give the destination address. */
export interface DestinationType {
  readonly kind: "fib";
  readonly register: Register;
}

/** Ends the rule unless the register is (or, inverted, is not) in the set; `setId` names a set of the same transaction. */
export interface Lookup {
  readonly kind: "lookup";
  readonly register: Register;
  readonly set: string;
  readonly setId?: number;
  readonly isInverted: boolean;
}

export interface Counter {
  readonly kind: "counter";
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** A match or target of xtables, as iptables-nft writes them; read only. `info` is the extension's own struct. */
export interface Extension {
  readonly kind: "match" | "target";
  readonly extension: string;
  readonly info: Uint8Array;
}

/** An expression in the kernel that this file has no interface for, or of which it knows only other forms. */
export interface UnknownExpression {
  readonly kind: "unknown";
  /** The kernel's name for it. */
  readonly name: string;
}

/** What a rule can be made of. */
export type Expression =
  | Payload
  | Compare
  | Range
  | Meta
  | ConnectionState
  | Bitwise
  | Immediate
  | Verdict
  | Masquerade
  | Nat
  | DestinationType
  | Lookup
  | Counter;

/** What can be found in a rule. */
export type ListedExpression = Expression | Extension | UnknownExpression;
