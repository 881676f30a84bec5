import { AttributeDecoder } from "./attribute-decoder.ts";
import {
  align,
  hostOrder,
  messageHeaderBytes,
  NLMSGERR_ATTR_MISS_TYPE,
  NLMSGERR_ATTR_MSG,
  NLMSGERR_ATTR_OFFS,
  NLMSG_DONE,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
} from "./constants.ts";
import { malformed, NetlinkError, type NetlinkErrorDetail } from "./error.ts";
import type { NetlinkMessage, NetlinkRequest } from "./message.ts";

const errnoBytes = 4;

/**
 * Reads NLMSG_ERROR or NLMSG_DONE as the answer to `request`: undefined for success, else the error with what the extended
 * acknowledgement says (struct nlmsgerr and enum nlmsgerr_attrs). A cut off answer is EBADMSG.
 */
export function acknowledgementError(message: NetlinkMessage, request: NetlinkRequest): NetlinkError | undefined {
  const { body } = message;
  if (body.length < errnoBytes) return malformed(request.label, "the acknowledgement is cut off");
  const status = viewOf(body).getInt32(0, hostOrder);
  // NLMSG_DONE carries what the dump returned: >= 0 for a complete one.
  if (status >= 0) return undefined;
  return new NetlinkError(request.label, -status, detail(message, request));
}

function detail(message: NetlinkMessage, request: NetlinkRequest): NetlinkErrorDetail {
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return {};
  const attributes = new AttributeDecoder(message.body.subarray(attributesOffset(message)));
  let kernelText: string | undefined;
  let offset: number | undefined;
  let attribute: number | undefined;
  while (attributes.next()) {
    if (attributes.type === NLMSGERR_ATTR_MSG) kernelText = attributes.text();
    else if (attributes.type === NLMSGERR_ATTR_OFFS) offset = attributes.u32();
    else if (attributes.type === NLMSGERR_ATTR_MISS_TYPE) attribute = attributes.u32();
  }
  // A fault in here only costs the remark: the errno in front of it stands.
  return { kernelText, offset, attribute: attribute ?? attributeAt(request, offset) };
}

/** Behind the errno: the request's header; behind an error without NLM_F_CAPPED the request's body too. NLMSG_DONE has neither. */
function attributesOffset(message: NetlinkMessage): number {
  if (message.type === NLMSG_DONE) return errnoBytes;
  const headerEnd = errnoBytes + messageHeaderBytes;
  if ((message.flags & NLM_F_CAPPED) !== 0 || message.body.length < headerEnd) return headerEnd;
  return errnoBytes + align(viewOf(message.body).getUint32(errnoBytes, hostOrder));
}

/** The type of the attribute that begins at `offset`, counted from the request's header. */
function attributeAt(request: NetlinkRequest, offset: number | undefined): number | undefined {
  if (offset === undefined) return undefined;
  const typeOffset = offset - messageHeaderBytes + 2;
  if (typeOffset < 0 || typeOffset + 2 > request.body.length) return undefined;
  return viewOf(request.body).getUint16(typeOffset, hostOrder) & 0x3fff;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
