import { hostOrder } from "../netlink/constants.ts";
import * as k from "./constants.ts";
import { invalid } from "./error.ts";
import type { Expression } from "./expression.ts";
import { networkProtocol, type Family } from "./family.ts";

/** Data types of set keys as nft numbers them (enum datatypes of its datatype.h), by nft's words, with their length. */
export const setTypes = {
  ipv4_addr: { number: 7, bytes: 4 },
  ipv6_addr: { number: 8, bytes: 16 },
  inet_service: { number: 13, bytes: 2 },
} as const;

/** A set that belongs to one rule: `{ 80, 443 }`. Keys are in network order, all of the type's length. */
export interface AnonymousSet {
  /** Names it within its transaction. */
  readonly id: number;
  readonly type: keyof typeof setTypes;
  readonly keys: readonly Uint8Array[];
}

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
    if (this.#transport !== undefined) this.refuse("a rule can't match two transport protocols at once");
    this.#transport = protocol;
    const register = k.NFT_REG_1;
    this.push({ kind: "meta", key: "l4proto", direction: "load", register });
    this.push({ kind: "cmp", register, operator: "==", value: Uint8Array.of(protocol) });
  }

  /** True once a statement has asked for a transport protocol: ports mean something from there on. */
  get hasTransport(): boolean {
    return this.#transport !== undefined;
  }

  /** Matches the register against a set of the rule's own; an empty one is refused, as by nft. */
  lookUp(register: number, type: AnonymousSet["type"], keys: readonly Uint8Array[], isInverted: boolean): void {
    if (keys.length === 0) this.refuse("a set must not be empty");
    const id = this.nextSetId();
    this.sets.push({ id, type, keys });
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
