// Userdata of nf_tables objects: bytes that the kernel keeps without reading them. nft(8) and libnftnl store a list of
// { u8 type, u8 length, value } there (libnftnl include/libnftnl/udata.h); type 0 of tables, chains and rules alike is the comment,
// a NUL-terminated text.

const typeOfComment = 0;
/** NFTNL_UDATA_COMMENT_MAXLEN: nft refuses longer comments, so nobody could load back a list that shows one. */
export const commentBytesMax = 128;
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
  for (let offset = 0; offset + 2 <= userdata.length;) {
    const [type, length = 0] = userdata.subarray(offset, offset + 2);
    const value = userdata.subarray(offset + 2, offset + 2 + length);
    if (type === typeOfComment && value.length === length) return cText(value);
    offset += 2 + length;
  }
  return undefined;
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
