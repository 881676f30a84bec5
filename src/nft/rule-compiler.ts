import { hostOrder } from "../netlink/constants.ts";
import * as k from "./constants.ts";
import { invalid } from "./error.ts";
import type { Expression } from "./expression.ts";
import { networkProtocol, type Family } from "./family.ts";
import { hostByteOrder, networkByteOrder } from "./userdata.ts";

/** Data types of set keys as nft numbers them (enum datatypes of its datatype.h), by nft's words, with their length and byte order. */
export const setTypes = {
  ipv4_addr: { number: 7, bytes: 4, order: networkByteOrder },
  ipv6_addr: { number: 8, bytes: 16, order: networkByteOrder },
  inet_proto: { number: 12, bytes: 1, order: networkByteOrder },
  inet_service: { number: 13, bytes: 2, order: networkByteOrder },
  ifname: { number: 41, bytes: 16, order: hostByteOrder },
} as const;

/** A key that is in the set or, in a set of intervals, where an interval begins or (`isEnd`) has just ended. */
export interface SetElement {
  readonly key: Uint8Array;
  readonly isEnd?: true;
  /** Begins the interval that goes up to the last value there is. */
  readonly isOpen?: true;
}

/** A set that belongs to one rule: `{ 80, 443 }`. Keys are in the byte order of their type, all of its length. */
export interface AnonymousSet {
  /** Names it within its transaction. */
  readonly id: number;
  readonly type: keyof typeof setTypes;
  /** The elements are the ends of intervals, in ascending order. */
  readonly hasIntervals: boolean;
  readonly elements: readonly SetElement[];
}

const twoTransports = "a rule can't match two transport protocols at once";

/** By this name the kernel makes up one of its own for an anonymous set. */
export const anonymousSetName = "__set%d";

/** EtherTypes, as `meta protocol` holds them (include/uapi/linux/if_ether.h). */
const etherTypes = { 4: 0x0800, 6: 0x86dd } as const;

/**
 * Collects the expressions of one rule while its statements compile. It adds the matches that a statement takes for granted, once
 * for each rule, just as nft does: an address is only looked at in a packet of its family, a port only behind its protocol.
 */
export class RuleCompiler {
  readonly expressions: Expression[] = [];
  readonly sets: AnonymousSet[] = [];
  #network: 4 | 6 | undefined;
  #transport: number | undefined;

  constructor(
    readonly family: Family,
    /** The rule as text, for errors. */
    readonly operation: string,
    private readonly nextSetId: () => number,
  ) {
    if (family === "ip") this.#network = 4;
    if (family === "ip6") this.#network = 6;
  }

  push(...expressions: readonly Expression[]): void {
    this.expressions.push(...expressions);
  }

  /** Throws `NftError`: this rule can't be. */
  refuse(reason: string): never {
    throw invalid(this.operation, reason);
  }

  /** Refuses a rule in which the packet is already known to be of the other IP version. */
  refuseOtherNetwork(version: 4 | 6): void {
    if (this.#network === undefined || this.#network === version) return;
    this.refuse(`IPv${version} in a rule where packets are IPv${this.#network}`);
  }

  /** From here on the packet is known to be IPv4 or IPv6. */
  requireNetwork(version: 4 | 6): void {
    this.refuseOtherNetwork(version);
    if (this.#network === version) return;
    this.#network = version;
    const register = k.NFT_REG_1;
    if (this.family === "inet") {
      this.push({ kind: "meta", key: "nfproto", direction: "load", register });
      this.push({ kind: "cmp", register, operator: "==", value: Uint8Array.of(networkProtocol(version)) });
    } else {
      this.push({ kind: "meta", key: "protocol", direction: "load", register });
      this.push({ kind: "cmp", register, operator: "==", value: be16(etherTypes[version]) });
    }
  }

  /** From here on the packet is known to carry this IPPROTO_*. */
  requireTransport(protocol: number): void {
    if (this.#transport === protocol) return;
    this.assumeTransport(protocol);
    const register = k.NFT_REG_1;
    this.push({ kind: "meta", key: "l4proto", direction: "load", register });
    this.push({ kind: "cmp", register, operator: "==", value: Uint8Array.of(protocol) });
  }

  /** True once a statement has asked for a transport protocol: ports mean something from there on. */
  get hasTransport(): boolean {
    return this.#transport !== undefined;
  }

  /** From here on the packet's transport protocol is known from another match. */
  assumeTransport(protocol: number): void {
    if (this.#transport !== undefined && this.#transport !== protocol) this.refuse(twoTransports);
    this.#transport = protocol;
  }

  /** Matches the register against a set of the rule's own; an empty one is refused, as by nft. */
  lookUp(register: number, type: AnonymousSet["type"], keys: readonly Uint8Array[], isInverted: boolean): void {
    const elements: SetElement[] = [];
    for (const key of keys) elements.push({ key });
    this.lookUpElements(register, { type, elements, hasIntervals: false }, isInverted);
  }

  /** As `lookUp`, for a set that may be one of intervals. */
  lookUpElements(register: number, set: Omit<AnonymousSet, "id">, isInverted: boolean): void {
    if (set.elements.length === 0) this.refuse("a set must not be empty");
    const id = this.nextSetId();
    this.sets.push({ id, ...set });
    this.push({ kind: "lookup", register, set: anonymousSetName, setId: id, isInverted });
  }
}

/** A number as 2 bytes in network order. */
export function be16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

/** A number as 4 bytes in the machine's order, as the kernel keeps marks and its own numbers in registers. */
export function host32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, hostOrder);
  return bytes;
}
