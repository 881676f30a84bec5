import { Fd } from "../libc/fd.ts";
import { writeAll } from "../libc/file.ts";
import { AttributeDecoder } from "./attribute-decoder.ts";
import {
  align,
  attributeHeaderBytes,
  messageHeaderBytes,
  NETLINK_NETFILTER,
  NLA_F_NESTED,
  NLA_F_NET_BYTEORDER,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_MIN_TYPE,
} from "./constants.ts";
import { decodeMessages, type NetlinkMessage } from "./message.ts";

/** True when POLYNIC_NLDEBUG=1 asks for a dump of every message on stderr. Read once: off, it costs one test for each message. */
export const tracing = process.env["POLYNIC_NLDEBUG"] === "1";

const stderr = new Fd(2, "stderr");
const rule = "----------------        ------------------";
const depthMax = 16;

/** Writes the messages of one datagram to stderr; `direction` is the word in front of each. */
export function trace(direction: "sent" | "received", protocol: number, datagram: Uint8Array): void {
  writeAll(stderr, formatDatagram(direction, protocol, datagram));
}

/** The text of `trace`, a table for each message in the style of libmnl's; a datagram that is no netlink ends as hex. */
export function formatDatagram(direction: string, protocol: number, datagram: Uint8Array): string {
  try {
    return decodeMessages(datagram, direction)
      .map((message) => `${direction}\n${formatMessage(protocol, message)}`)
      .join("");
  } catch (error) {
    return `${direction}, ${String(error)}\n${words(datagram).join("\n")}\n`;
  }
}

function formatMessage(protocol: number, message: NetlinkMessage): string {
  const lines = [
    rule,
    `|  ${digits(message.body.length + messageHeaderBytes, 10)}  |        | message length |`,
    `| ${digits(message.type, 5)} | ${messageFlags(message.flags)} |${modifiers(message.flags)}|  type | flags  |`,
    `|  ${digits(message.sequence, 10)}  |        | sequence number|`,
    `|  ${digits(message.port, 10)}  |        |     port ID    |`,
    rule,
  ];
  const fixed = Math.min(fixedBytes(protocol, message.type), message.body.length);
  for (const word of words(message.body.subarray(0, fixed))) lines.push(`| ${word} |        |  extra header  |`);
  const rest = message.body.subarray(fixed);
  if (message.type >= NLMSG_MIN_TYPE) formatAttributes(rest, 0, lines);
  else for (const word of words(rest)) lines.push(`| ${word} |        |                |`);
  lines.push(rule, "");
  return lines.join("\n");
}

function formatAttributes(bytes: Uint8Array, depth: number, lines: string[]): void {
  const attributes = new AttributeDecoder(bytes);
  let offset = 0;
  while (attributes.next()) {
    const value = attributes.bytes();
    const flags = (bytes[offset + 3] ?? 0) << 8;
    const nested = (flags & NLA_F_NESTED) !== 0;
    const length = digits(value.length + attributeHeaderBytes, 5);
    const marks = `${nested ? "N" : "-"}${(flags & NLA_F_NET_BYTEORDER) === 0 ? "-" : "B"}`;
    const indent = "  ".repeat(depth);
    lines.push(`|${length}|${marks}|${digits(attributes.type, 5)}| ${indent}       |len |flags| type|`);
    if (nested && depth < depthMax) formatAttributes(value, depth + 1, lines);
    else
      for (const [index, word] of words(value).entries())
        lines.push(`| ${word} | ${indent}       | ${text(value, index)} |`);
    offset += align(value.length + attributeHeaderBytes);
  }
  if (attributes.fault !== undefined) {
    lines.push(`| ${attributes.fault} |`);
    for (const word of words(bytes.subarray(offset))) lines.push(`| ${word} |        |                |`);
  }
}

/** Size of the struct between header and attributes: struct nfgenmsg, or what each rtnetlink message group has. */
function fixedBytes(protocol: number, type: number): number {
  if (type === NLMSG_ERROR || type === NLMSG_DONE) return 0;
  if (protocol === NETLINK_NETFILTER) return 4;
  // RTM_FAM: link (ifinfomsg), address (ifaddrmsg), route (rtmsg), neighbour (ndmsg), rule (fib_rule_hdr).
  return [16, 8, 12, 12, 12][(type - NLMSG_MIN_TYPE) >> 2] ?? 4;
}

/** NLM_F_REQUEST, NLM_F_MULTI, NLM_F_ACK, NLM_F_ECHO by their letters. */
function messageFlags(flags: number): string {
  return ["R", "M", "A", "E"].map((letter, bit) => ((flags & (1 << bit)) === 0 ? "-" : letter)).join("");
}

/** The other flags as hex: what they mean depends on the type. */
function modifiers(flags: number): string {
  const rest = flags & ~0xf;
  return rest === 0 ? "        " : `  +${rest.toString(16)}`.padEnd(8);
}

function words(bytes: Uint8Array): string[] {
  const lines = [];
  for (let offset = 0; offset < bytes.length; offset += 4) {
    const word = [...bytes.subarray(offset, offset + 4)].map((byte) => byte.toString(16).padStart(2, "0"));
    lines.push(word.join(" ").padEnd(11));
  }
  return lines;
}

function text(bytes: Uint8Array, index: number): string {
  return [...bytes.subarray(index * 4, index * 4 + 4)]
    .map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : " "))
    .join("")
    .padEnd(14);
}

function digits(value: number, width: number): string {
  return String(value).padStart(width, "0");
}
