import { align, attributeHeaderBytes, hostOrder, NLA_TYPE_MASK } from "./constants.ts";
import { malformed } from "./error.ts";

const nestingMax = 16;
const textDecoder = new TextDecoder();
const nothing = new Uint8Array(0);

/** The first thing found wrong, shared by a decoder and all decoders nested in it. */
interface Fault {
  reason: string | undefined;
}

/**
 * Reads netlink attributes (struct nlattr) one after the other: `while (decoder.next()) switch (decoder.type) { … }`.
 *
 * Nothing here throws or reads outside the bytes given, whatever they hold. The first thing wrong (a length that lies, a value
 * of the wrong size, too deep a nest) sticks: from then on `next` is false, here and in every nested decoder, and values read as
 * 0, "" or no bytes. The caller asks once, at the end: `finish` throws, `fault` tells.
 */
export class AttributeDecoder {
  /** The current attribute's type, without NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
  type = 0;
  // Plain fields: each of the forty attributes of a link passes here, in a process too short-lived for compiled code.
  private nextAt = 0;
  private valueAt = 0;
  private bytesOfValue = 0;
  private readonly view: DataView;
  private readonly end: number;
  private readonly shared: Fault;
  private readonly depth: number;

  constructor(bytes: Uint8Array, fault: Fault = { reason: undefined }, depth = 0) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.end = bytes.byteLength;
    this.shared = fault;
    this.depth = depth;
  }

  /** Steps to the next attribute; false at the end and after the first fault. */
  next(): boolean {
    const { view, nextAt } = this;
    const rest = this.end - nextAt;
    if (rest <= 0 || this.shared.reason !== undefined) return false;
    // NLA_OK of libnl, nla_ok() of the kernel: the header fits, nla_len covers the header and stays inside what is left.
    if (rest < attributeHeaderBytes) return this.#fail(`${rest} stray bytes behind the last attribute`);
    const length = view.getUint16(nextAt, hostOrder);
    this.type = view.getUint16(nextAt + 2, hostOrder) & NLA_TYPE_MASK;
    if (length < attributeHeaderBytes || length > rest)
      return this.#fail(`attribute ${this.type} claims ${length} bytes where ${rest} are left`);
    this.valueAt = nextAt + attributeHeaderBytes;
    this.bytesOfValue = length - attributeHeaderBytes;
    this.nextAt = nextAt + align(length);
    return true;
  }

  /** How many bytes the current value has. */
  get valueBytes(): number {
    return this.bytesOfValue;
  }

  u8(): number {
    return this.#sized(1) ? this.view.getUint8(this.valueAt) : 0;
  }

  u16(): number {
    return this.#sized(2) ? this.view.getUint16(this.valueAt, hostOrder) : 0;
  }

  u32(): number {
    return this.#sized(4) ? this.view.getUint32(this.valueAt, hostOrder) : 0;
  }

  u64(): bigint {
    return this.#sized(8) ? this.view.getBigUint64(this.valueAt, hostOrder) : 0n;
  }

  i32(): number {
    return this.#sized(4) ? this.view.getInt32(this.valueAt, hostOrder) : 0;
  }

  be16(): number {
    return this.#sized(2) ? this.view.getUint16(this.valueAt) : 0;
  }

  be32(): number {
    return this.#sized(4) ? this.view.getUint32(this.valueAt) : 0;
  }

  be64(): bigint {
    return this.#sized(8) ? this.view.getBigUint64(this.valueAt) : 0n;
  }

  /** UTF-8 up to the first NUL or the end of the value; bytes that are no UTF-8 become U+FFFD. */
  text(): string {
    const bytes = this.bytes();
    const end = bytes.indexOf(0);
    return textDecoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
  }

  /** The value as it is; a view of the message, not a copy. */
  bytes(): Uint8Array {
    if (this.shared.reason !== undefined) return nothing;
    return new Uint8Array(this.view.buffer, this.view.byteOffset + this.valueAt, this.bytesOfValue);
  }

  /** The value read as attributes; what is wrong inside sticks out here too. */
  nested(): AttributeDecoder {
    if (this.depth === nestingMax) this.#fail(`attributes nest deeper than ${nestingMax}`);
    return new AttributeDecoder(this.bytes(), this.shared, this.depth + 1);
  }

  /** What was wrong, in words; undefined when all that was read so far was sound. */
  get fault(): string | undefined {
    return this.shared.reason;
  }

  /** Throws `NetlinkError` EBADMSG for `operation` when anything read so far was wrong. */
  finish(operation: string): void {
    if (this.shared.reason !== undefined) throw malformed(operation, this.shared.reason);
  }

  #sized(bytes: number): boolean {
    if (this.shared.reason !== undefined) return false;
    return this.bytesOfValue === bytes
      ? true
      : this.#fail(`attribute ${this.type} has ${this.bytesOfValue} bytes where ${bytes} were expected`);
  }

  #fail(reason: string): false {
    this.shared.reason ??= reason;
    return false;
  }
}
