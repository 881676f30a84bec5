// Userdata of nf_tables objects: bytes that the kernel keeps without reading them. nft(8) and libnftnl store a list of
// { u8 type, u8 length, value } there (libnftnl include/libnftnl/udata.h); type 0 of tables, chains and rules alike is the comment,
// a NUL-terminated text.

const typeOfComment = 0;
/** NFTNL_UDATA_COMMENT_MAXLEN: nft refuses longer comments, so nobody could load back a list that shows one. */
export const commentBytesMax = 128;
/**
 * Ours: a text that nft and libnftnl pass over, since they read the types they know. It comes and goes with the rule, but not through
 * a rule set that is saved as text and loaded again.
 */
const typeOfTag = 0x70;
/** What fits beside the longest comment: NFT_USERDATA_MAXLEN of include/uapi/linux/netfilter/nf_tables.h is 256. */
export const tagBytesMax = 120;
/** NFTNL_UDATA_SET_KEYBYTEORDER. */
const typeOfKeyByteOrder = 0;
/** Byte orders as nft numbers them. */
export const hostByteOrder = 1;
export const networkByteOrder = 2;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Why `comment` can't be stored so that nft shows it as it is; undefined when it can. */
export function commentProblem(comment: string): string | undefined {
  const bytes = encoder.encode(comment).length;
  if (bytes > commentBytesMax) return `a comment of ${bytes} bytes exceeds ${commentBytesMax}`;
  if (/["\0\n]/.test(comment)) return "a comment may hold neither double quotes nor line breaks nor NUL bytes";
  return undefined;
}

/** The userdata of a table, chain or rule with this comment. */
export function encodeComment(comment: string): Uint8Array {
  const text = encoder.encode(`${comment}\0`);
  return Uint8Array.of(typeOfComment, text.length, ...text);
}

/** The comment in an object's userdata; undefined when there is none, or when the bytes are not such a list. */
export function decodeComment(userdata: Uint8Array): string | undefined {
  return textOfType(userdata, typeOfComment);
}

function textOfType(userdata: Uint8Array, wanted: number): string | undefined {
  for (let offset = 0; offset + 2 <= userdata.length;) {
    const [type, length = 0] = userdata.subarray(offset, offset + 2);
    const value = userdata.subarray(offset + 2, offset + 2 + length);
    if (type === wanted && value.length === length) return cText(value);
    offset += 2 + length;
  }
  return undefined;
}

/** What a rule's userdata says of it. */
export interface RuleWords {
  readonly comment?: string;
  readonly tag?: string;
}

/** The userdata of a rule with a comment, a tag or both. */
export function encodeRuleWords(comment: string | undefined, tag: string | undefined): Uint8Array {
  const first = comment === undefined ? new Uint8Array() : encodeComment(comment);
  if (tag === undefined) return first;
  const text = encoder.encode(`${tag}\0`);
  return Uint8Array.of(...first, typeOfTag, text.length, ...text);
}

/** Comment and tag in a rule's userdata, each as `decodeComment` reads it. */
export function decodeRuleWords(userdata: Uint8Array): RuleWords {
  const comment = textOfType(userdata, typeOfComment);
  const tag = textOfType(userdata, typeOfTag);
  return { ...(comment === undefined ? {} : { comment }), ...(tag === undefined ? {} : { tag }) };
}

/** The userdata of a set's element that begins an interval without an end: NFTNL_UDATA_SET_ELEM_FLAGS with EXPR_F_INTERVAL_OPEN. */
export function openIntervalMark(): Uint8Array {
  return Uint8Array.of(1, 4, ...new Uint8Array(new Uint32Array([1]).buffer));
}

/** The userdata of a set, which tells nft how to print its keys. */
export function encodeKeyByteOrder(order: typeof hostByteOrder | typeof networkByteOrder): Uint8Array {
  const value = new Uint8Array(new Uint32Array([order]).buffer);
  return Uint8Array.of(typeOfKeyByteOrder, value.length, ...value);
}

/** UTF-8 up to the first NUL or the end. */
export function cText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}
