import { type Ip, ipToBytes } from "../ip/address.ts";
import { formatPrefix, isDefault, type Prefix } from "../ip/prefix.ts";
import type { AttributeDecoder } from "../netlink/attribute-decoder.ts";
import type { AttributeEncoder } from "../netlink/attribute-encoder.ts";
import { hostOrder, NLM_F_CREATE, NLM_F_EXCL } from "../netlink/constants.ts";
import { type NetlinkMessage, type NetlinkRequest, request } from "../netlink/message.ts";
import { addressFamily, ipFamily, openBody, readIp } from "./body.ts";
import {
  FIB_RULE_INVERT,
  FR_ACT_GOTO,
  FR_ACT_TO_TBL,
  FRA_DST,
  FRA_FWMARK,
  FRA_FWMASK,
  FRA_GOTO,
  FRA_IIFNAME,
  FRA_L3MDEV,
  FRA_OIFNAME,
  FRA_PRIORITY,
  FRA_PROTOCOL,
  FRA_SRC,
  FRA_SUPPRESS_PREFIXLEN,
  FRA_TABLE,
  RT_TABLE_UNSPEC,
  RTM_DELRULE,
  RTM_GETRULE,
  RTM_NEWRULE,
} from "./constants.ts";
import type { Rtnl } from "./rtnl.ts";
import type { Writable } from "./writable.ts";

/** sizeof(struct fib_rule_hdr), which has the layout of struct rtmsg. */
const ruleHeaderBytes = 12;
const tableInHeaderMax = 255;
/** FRA_SUPPRESS_PREFIXLEN of a rule that suppresses nothing. */
const suppressNothing = 0xffff_ffff;

/**
 * A policy routing rule to make or to delete; undefined is not sent. A `Rule` that was listed can be put in as it is, unless it
 * selects by what is neither sent nor told here: ports, IP protocol, user, tunnel.
 */
export interface RuleSpec {
  readonly family: 4 | 6;
  /** Smaller goes first; undefined lets the kernel put it in front of the first rule but the one for the local table. */
  readonly priority?: number | undefined;
  /** Packets from here; undefined is from anywhere. */
  readonly source?: Prefix | undefined;
  /** Packets to there. */
  readonly destination?: Prefix | undefined;
  readonly inputDevice?: string | undefined;
  readonly outputDevice?: string | undefined;
  readonly mark?: number | undefined;
  readonly markMask?: number | undefined;
  readonly tos?: number | undefined;
  /** The table to look in; none with an action other than FR_ACT_TO_TBL, or with `l3mdev`. */
  readonly table?: number | undefined;
  /** FR_ACT_*; undefined is FR_ACT_TO_TBL, or FR_ACT_GOTO where `goto` is given. */
  readonly action?: number | undefined;
  /** Priority of the rule to go on with. */
  readonly goto?: number | undefined;
  /** True: for packets that do not match. */
  readonly invert?: boolean | undefined;
  /** True: look in the table of the VRF that the packet is in. */
  readonly l3mdev?: boolean | undefined;
  /** Routes found whose prefix is this long or shorter do not count: 0 ignores default routes. */
  readonly suppressPrefixLength?: number | undefined;
  /** RTPROT_* */
  readonly protocol?: number | undefined;
}

/** A rule as the kernel described it. */
export interface Rule extends RuleSpec {
  readonly priority: number;
  readonly action: number;
  readonly invert: boolean;
  readonly l3mdev: boolean;
  readonly tos: number;
}

/** Adds a rule; EEXIST when there is one that is the same in all. */
export function addRule(spec: RuleSpec): NetlinkRequest {
  return ruleRequest("add", RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, spec);
}

/** Deletes the first rule that has all that is given; ENOENT when there is none. */
export function deleteRule(spec: RuleSpec): NetlinkRequest {
  return ruleRequest("delete", RTM_DELRULE, 0, spec);
}

/** Rules by priority, family 4 first. */
export function listRules(rtnl: Rtnl, family?: 4 | 6): Rule[] {
  const families = family === undefined ? ([4, 6] as const) : [family];
  return families.flatMap((each) => {
    const query = request(`list IPv${each} rules`, RTM_GETRULE, 0, (body) =>
      body.struct(ruleHeaderBytes).setUint8(0, addressFamily(each)),
    );
    return rtnl
      .dump(query)
      .map((message) => decodeRule(message, query.label))
      .filter((rule) => rule !== undefined);
  });
}

function ruleRequest(verb: string, type: number, flags: number, spec: RuleSpec): NetlinkRequest {
  return request(`${verb} ${describeRule(spec)}`, type, flags, (body) => {
    const table = spec.table ?? RT_TABLE_UNSPEC;
    const usual = spec.goto === undefined ? FR_ACT_TO_TBL : FR_ACT_GOTO;
    // struct fib_rule_hdr: u8 family, dst_len, src_len, tos, table, res1, res2, action, u32 flags
    const header = body.struct(ruleHeaderBytes);
    header.setUint8(0, addressFamily(spec.family));
    header.setUint8(1, spec.destination?.bits ?? 0);
    header.setUint8(2, spec.source?.bits ?? 0);
    header.setUint8(3, spec.tos ?? 0);
    header.setUint8(4, table > tableInHeaderMax ? RT_TABLE_UNSPEC : table);
    header.setUint8(7, spec.action ?? usual);
    header.setUint32(8, spec.invert === true ? FIB_RULE_INVERT : 0, hostOrder);
    encodeAttributes(spec, body);
  });
}

function encodeAttributes(spec: RuleSpec, body: AttributeEncoder): void {
  const { source, destination, inputDevice, outputDevice, table } = spec;
  if (destination !== undefined && !isDefault(destination)) body.bytes(FRA_DST, ipToBytes(destination.ip));
  if (source !== undefined && !isDefault(source)) body.bytes(FRA_SRC, ipToBytes(source.ip));
  if (inputDevice !== undefined) body.text(FRA_IIFNAME, inputDevice);
  if (outputDevice !== undefined) body.text(FRA_OIFNAME, outputDevice);
  if (table !== undefined && table > tableInHeaderMax) body.u32(FRA_TABLE, table);
  const numbers: readonly [number, number | undefined][] = [
    [FRA_PRIORITY, spec.priority],
    [FRA_FWMARK, spec.mark],
    [FRA_FWMASK, spec.markMask],
    [FRA_GOTO, spec.goto],
    [FRA_SUPPRESS_PREFIXLEN, spec.suppressPrefixLength],
  ];
  for (const [type, value] of numbers) if (value !== undefined) body.u32(type, value);
  if (spec.l3mdev === true) body.u8(FRA_L3MDEV, 1);
  if (spec.protocol !== undefined) body.u8(FRA_PROTOCOL, spec.protocol);
}

/** In the words of ip-rule(8): "IPv4 rule 100 from 10.1.2.3/32 table 100". */
export function describeRule(spec: RuleSpec): string {
  const words = [`IPv${spec.family} rule`];
  if (spec.priority !== undefined) words.push(String(spec.priority));
  if (spec.invert === true) words.push("not");
  if (spec.source !== undefined) words.push(`from ${formatPrefix(spec.source)}`);
  if (spec.destination !== undefined) words.push(`to ${formatPrefix(spec.destination)}`);
  if (spec.inputDevice !== undefined) words.push(`iif ${spec.inputDevice}`);
  if (spec.outputDevice !== undefined) words.push(`oif ${spec.outputDevice}`);
  if (spec.mark !== undefined) words.push(`fwmark ${spec.mark}`);
  if (spec.table !== undefined) words.push(`table ${spec.table}`);
  return words.join(" ");
}

/** Reads RTM_NEWRULE; undefined for a family that is not IP. `operation` is what an EBADMSG says failed. */
export function decodeRule(message: NetlinkMessage, operation: string): Rule | undefined {
  const { header, attributes } = openBody(message, ruleHeaderBytes, operation);
  const family = ipFamily(header.getUint8(0));
  if (family === undefined) return undefined;
  const table = header.getUint8(4);
  const rule: Writable<Rule> = {
    family,
    priority: 0,
    source: undefined,
    destination: undefined,
    inputDevice: undefined,
    outputDevice: undefined,
    mark: undefined,
    markMask: undefined,
    tos: header.getUint8(3),
    table: table === RT_TABLE_UNSPEC ? undefined : table,
    action: header.getUint8(7),
    goto: undefined,
    invert: (header.getUint32(8, hostOrder) & FIB_RULE_INVERT) !== 0,
    l3mdev: false,
    suppressPrefixLength: undefined,
    protocol: undefined,
  };
  while (attributes.next()) readAttribute(rule, attributes, header);
  attributes.finish(operation);
  return rule;
}

function readAttribute(rule: Writable<Rule>, attribute: AttributeDecoder, header: DataView): void {
  switch (attribute.type) {
    case FRA_DST:
      rule.destination = prefixOf(readIp(attribute), header.getUint8(1));
      break;
    case FRA_SRC:
      rule.source = prefixOf(readIp(attribute), header.getUint8(2));
      break;
    case FRA_IIFNAME:
      rule.inputDevice = attribute.text();
      break;
    case FRA_OIFNAME:
      rule.outputDevice = attribute.text();
      break;
    case FRA_PRIORITY:
      rule.priority = attribute.u32();
      break;
    case FRA_FWMARK:
      rule.mark = attribute.u32();
      break;
    case FRA_FWMASK:
      rule.markMask = attribute.u32();
      break;
    case FRA_TABLE: {
      const table = attribute.u32();
      rule.table = table === RT_TABLE_UNSPEC ? undefined : table;
      break;
    }
    case FRA_GOTO:
      rule.goto = attribute.u32();
      break;
    case FRA_L3MDEV:
      rule.l3mdev = attribute.u8() !== 0;
      break;
    case FRA_SUPPRESS_PREFIXLEN: {
      const length = attribute.u32();
      rule.suppressPrefixLength = length === suppressNothing ? undefined : length;
      break;
    }
    case FRA_PROTOCOL:
      rule.protocol = attribute.u8();
      break;
  }
}

function prefixOf(ip: Ip | undefined, bits: number): Prefix | undefined {
  return ip === undefined ? undefined : { ip, bits };
}
