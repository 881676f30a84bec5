const decoder = new TextDecoder();

// Wire types (protobuf.dev, "Encoding"). Groups, 3 and 4, are long gone from every message that is read here.
const VARINT = 0;
const I64 = 1;
const LEN = 2;
const I32 = 5;

const varintBytesMax = 10;

/**
 * The values of field `number` of an encoded message, in order: strings, bytes and embedded messages, which are all the kinds that kubelet's
 * answers need. Fields of other kinds and numbers are passed over; none gives an empty list. Throws `RangeError` for what is cut off or
 * is no message.
 */
export function fieldBytes(message: Uint8Array, number: number): Uint8Array[] {
  const values: Uint8Array[] = [];
  const cursor = { at: 0 };
  while (cursor.at < message.length) {
    const tag = readVarint(message, cursor);
    const value = readValue(message, cursor, tag & 7);
    if (value !== undefined && tag >>> 3 === number) values.push(value);
  }
  return values;
}

/** As `fieldBytes`, the values as text. */
export function fieldTexts(message: Uint8Array, number: number): string[] {
  return fieldBytes(message, number).map((bytes) => decoder.decode(bytes));
}

/** The text of a field that stands once; of several the last one counts, and "" for none, as protobuf has it. */
export function fieldText(message: Uint8Array, number: number): string {
  return fieldTexts(message, number).at(-1) ?? "";
}

function readValue(message: Uint8Array, cursor: { at: number }, wireType: number): Uint8Array | undefined {
  if (wireType === VARINT) {
    readVarint(message, cursor);
    return undefined;
  }
  const length = wireType === LEN ? readVarint(message, cursor) : wireType === I64 ? 8 : wireType === I32 ? 4 : -1;
  const end = cursor.at + length;
  if (length < 0 || end > message.length)
    throw new RangeError(
      `no protobuf message: a field at byte ${cursor.at} has wire type ${wireType}, ${length} bytes`,
    );
  const value = message.subarray(cursor.at, end);
  cursor.at = end;
  return wireType === LEN ? value : undefined;
}

/** The low 32 bits of a varint: lengths and tags have no more, and numbers are only passed over. */
function readVarint(message: Uint8Array, cursor: { at: number }): number {
  let value = 0;
  for (let index = 0; index < varintBytesMax; index += 1) {
    const byte = message[cursor.at++];
    if (byte === undefined) break;
    if (index < 5) value |= (byte & 0x7f) << (7 * index);
    if (byte < 0x80) return value >>> 0;
  }
  throw new RangeError(`no protobuf message: a number at byte ${cursor.at} has no end`);
}
