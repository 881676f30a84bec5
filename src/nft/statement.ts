import { formatIp, ipToBytes, widthOf, type Ip } from "../ip/address.ts";
import { formatMac } from "../ip/mac.ts";
import { formatPrefix, networkOf, type Prefix } from "../ip/prefix.ts";
import * as k from "./constants.ts";
import type { PayloadBase, VerdictWord } from "./expression.ts";
import type { Family } from "./family.ts";
import { be16, host32, type RuleCompiler } from "./rule-compiler.ts";

// What people write rules with. Each statement knows its text in nft's language and how it compiles; both follow nft, down to the
// bytes, so that a rule made here and the same rule loaded by nft(8) are one and the same to whoever lists them.

/** One word, match or action of a rule: a plain value. */
export interface Statement {
  /** The text that `nft list` shows for it in a table of that family. */
  readonly print: (family: Family) => string;
  readonly compile: (rule: RuleCompiler) => void;
}

export type Equality = "==" | "!=";

/** A transport protocol with ports, by nft's word. */
export type PortProtocol = "tcp" | "udp" | "sctp";

/** IPPROTO_* of include/uapi/linux/in.h. */
export const protocolNumbers: Readonly<Record<PortProtocol, number>> = { tcp: 6, udp: 17, sctp: 132 };
/** RTN_LOCAL of include/uapi/linux/rtnetlink.h. */
const RTN_LOCAL = 2;
const register = k.NFT_REG_1;
const portBytes = 2;
const portMax = 0xffff;
const macBytes = 6;
const macSourceOffset = 6;
/** IFNAMSIZ counts the NUL. */
export const interfaceBytes = 16;
/** Where the IPv4 and the IPv6 header have their addresses. */
export const addressOffsets = { 4: { saddr: 12, daddr: 16 }, 6: { saddr: 8, daddr: 24 } } as const;
const textEncoder = new TextEncoder();

/** `ip saddr 10.1.2.0/24` or `ip6 saddr …`: the sender's address is (or, with "!=", is not) in the prefix; host bits don't count. */
export function sourceIn(prefix: Prefix, operator: Equality = "=="): Statement {
  return addressIn("saddr", prefix, operator);
}

/** As `sourceIn`, of the receiver's address. */
export function destinationIn(prefix: Prefix, operator: Equality = "=="): Statement {
  return addressIn("daddr", prefix, operator);
}

/** `iifname "veth0"`: by exact name, looked at when a packet comes, so the interface need not exist yet. */
export function fromInterface(name: string, operator: Equality = "=="): Statement {
  return interfaceNamed("iifname", name, operator);
}

/** `oifname "veth0"`; see `fromInterface`. */
export function toInterface(name: string, operator: Equality = "=="): Statement {
  return interfaceNamed("oifname", name, operator);
}

/** `ether saddr 02:00:00:00:00:01`: the sender's hardware address, 6 bytes. In family bridge, where every packet has one. */
export function etherSource(mac: Uint8Array, operator: Equality = "=="): Statement {
  return {
    print: () => `ether saddr ${sign(operator)}${formatMac(mac)}`,
    compile: (rule) => {
      if (mac.length !== macBytes) rule.refuse(`an Ethernet address has ${macBytes} bytes, not ${mac.length}`);
      if (rule.family !== "bridge") rule.refuse("hardware addresses can only be matched in family bridge");
      load(rule, "link", macSourceOffset, macBytes);
      rule.push({ kind: "cmp", register, operator, value: mac });
    },
  };
}

/** `tcp dport 80`, or with several ports `tcp dport { 80, 443 }`. Ports are 0 to 65535, at least one. */
export function destinationPort(
  protocol: PortProtocol,
  ports: readonly number[],
  operator: Equality = "==",
): Statement {
  const sorted = [...new Set(ports)].sort((a, b) => a - b);
  const [only] = sorted;
  const single = sorted.length === 1 ? only : undefined;
  return {
    print: () => `${protocol} dport ${sign(operator)}${single ?? `{ ${sorted.join(", ")} }`}`,
    compile: (rule) => {
      for (const port of sorted) refuseBadPort(rule, port);
      rule.requireTransport(protocolNumbers[protocol]);
      load(rule, "transport", portBytes, portBytes);
      if (single !== undefined) rule.push({ kind: "cmp", register, operator, value: be16(single) });
      else rule.lookUp(register, "inet_service", sorted.map(be16), operator === "!=");
    },
  };
}

/** `fib daddr type local`: the packet is addressed to this host. */
export const toThisHost: Statement = {
  print: () => "fib daddr type local",
  compile: (rule) => {
    rule.push({ kind: "fib", register }, { kind: "cmp", register, operator: "==", value: host32(RTN_LOCAL) });
  },
};

/** `meta mark & 0x2000 == 0x2000`: all of these bits are set in the packet's mark. */
export function markedWith(bits: number): Statement {
  return {
    print: () => `meta mark & ${hex(bits)} == ${hex(bits)}`,
    compile: (rule) => {
      rule.push({ kind: "meta", key: "mark", direction: "load", register });
      rule.push({ kind: "bitwise", register, mask: host32(bits), xor: host32(0) });
      rule.push({ kind: "cmp", register, operator: "==", value: host32(bits) });
    },
  };
}

/** `meta mark set meta mark | 0x2000`: sets these bits and leaves the others. */
export function setMarkBits(bits: number): Statement {
  return {
    print: () => `meta mark set meta mark | ${hex(bits)}`,
    compile: (rule) => {
      rule.push({ kind: "meta", key: "mark", direction: "load", register });
      rule.push({ kind: "bitwise", register, mask: host32(~bits >>> 0), xor: host32(bits) });
      rule.push({ kind: "meta", key: "mark", direction: "set", register });
    },
  };
}

/** `counter`: packets and bytes that got this far, from zero. */
export const counter: Statement = {
  print: () => "counter packets 0 bytes 0",
  compile: (rule) => rule.push({ kind: "counter", packets: 0n, bytes: 0n }),
};

export const accept: Statement = verdict("accept");
export const drop: Statement = verdict("drop");

/** `return`: goes on behind the jump that led here; from a base chain, to its policy. */
export const goBack: Statement = verdict("return");

/** `jump CHAIN`: works off a chain of the same table, then comes back. */
export function jump(chain: { readonly name: string }): Statement {
  return verdict("jump", chain.name);
}

/** `goto CHAIN`: as `jump`, but what follows here is not looked at any more. */
export function goTo(chain: { readonly name: string }): Statement {
  return verdict("goto", chain.name);
}

/** `masquerade`: in a chain of type nat behind routing. */
export const masquerade: Statement = { print: () => "masquerade", compile: (rule) => rule.push({ kind: "masq" }) };

/** `dnat to 10.1.2.3:8080`: a port needs a statement before it that tells the protocol. */
export function dnat(to: Ip, port?: number): Statement {
  return nat("dnat", to, port);
}

/** `snat to 192.0.2.1`; see `dnat`. */
export function snat(to: Ip, port?: number): Statement {
  return nat("snat", to, port);
}

function addressIn(field: "saddr" | "daddr", prefix: Prefix, operator: Equality): Statement {
  const { ip, bits } = networkOf(prefix);
  const word = ip.family === 4 ? "ip" : "ip6";
  const isWhole = bits === widthOf(ip.family);
  return {
    print: () => `${word} ${field} ${sign(operator)}${isWhole ? formatIp(ip) : formatPrefix({ ip, bits })}`,
    compile: (rule) => {
      rule.requireNetwork(ip.family);
      const address = ipToBytes(ip);
      // As nft does it: whole bytes are compared as they are, the rest behind a mask.
      const isAligned = bits % 8 === 0 && bits > 0;
      const value = isAligned ? address.subarray(0, bits / 8) : address;
      load(rule, "network", addressOffsets[ip.family][field], value.length);
      if (!isAligned)
        rule.push({ kind: "bitwise", register, mask: maskOf(bits, value.length), xor: zeros(value.length) });
      rule.push({ kind: "cmp", register, operator, value });
    },
  };
}

function interfaceNamed(key: "iifname" | "oifname", name: string, operator: Equality): Statement {
  return {
    // An asterisk at the end would mean any continuation.
    print: () => `${key} ${sign(operator)}"${name.replace(/\*$/, "\\*")}"`,
    compile: (rule) => {
      const value = zeros(interfaceBytes);
      const bytes = textEncoder.encode(name);
      if (bytes.length === 0 || bytes.length >= interfaceBytes || bytes.includes(0))
        rule.refuse(`${JSON.stringify(name)} is not an interface name of 1 to ${interfaceBytes - 1} bytes`);
      value.set(bytes);
      rule.push({ kind: "meta", key, direction: "load", register });
      rule.push({ kind: "cmp", register, operator, value });
    },
  };
}

function verdict(word: VerdictWord, chain?: string): Statement {
  return {
    print: () => (chain === undefined ? word : `${word} ${chain}`),
    compile: (rule) => rule.push({ kind: "verdict", verdict: word, ...(chain === undefined ? {} : { chain }) }),
  };
}

function nat(type: "snat" | "dnat", to: Ip, port: number | undefined): Statement {
  const host = to.family === 6 && port !== undefined ? `[${formatIp(to)}]` : formatIp(to);
  const target = port === undefined ? host : `${host}:${port}`;
  return {
    print: (family) => `${type}${family === "inet" ? (to.family === 4 ? " ip" : " ip6") : ""} to ${target}`,
    compile: (rule) => {
      // No match is needed: in family inet the kernel passes packets of the other version by.
      rule.refuseOtherNetwork(to.family);
      rule.push({ kind: "immediate", register, value: ipToBytes(to) });
      if (port === undefined) {
        rule.push({ kind: "nat", type, family: to.family, address: register });
        return;
      }
      refuseBadPort(rule, port);
      if (!rule.hasTransport) rule.refuse("a port can only be mapped behind a match of its protocol");
      rule.push({ kind: "immediate", register: k.NFT_REG_2, value: be16(port) });
      rule.push({ kind: "nat", type, family: to.family, address: register, port: k.NFT_REG_2 });
    },
  };
}

/** Loads bytes of the packet into the register that matches compare. */
export function load(rule: RuleCompiler, base: PayloadBase, offset: number, bytes: number): void {
  rule.push({ kind: "payload", base, offset, bytes, register });
}

/** Throws `NftError` for what is no port. */
export function refuseBadPort(rule: RuleCompiler, port: number): void {
  if (!Number.isInteger(port) || port < 0 || port > portMax) rule.refuse(`${port} is not a port of 0 to ${portMax}`);
}

function maskOf(bits: number, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => 0xff00 >> Math.min(8, Math.max(0, bits - index * 8)));
}

function zeros(bytes: number): Uint8Array {
  return new Uint8Array(bytes);
}

/** What stands before the value: nothing for equality. */
export function sign(operator: Equality): string {
  return operator === "==" ? "" : "!= ";
}

/** As nft prints marks. */
export function hex(number: number): string {
  return `0x${number.toString(16).padStart(8, "0")}`;
}
