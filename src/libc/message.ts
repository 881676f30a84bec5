import { addressOf } from "./ffi.ts";

/** SOL_SOCKET and SCM_RIGHTS (include/linux/socket.h): the type of a control message that carries descriptors. */
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const headerBytes = 56;
const vectorBytes = 16;
const controlOffset = headerBytes + vectorBytes;
const controlHeaderBytes = 16;

/**
 * A struct msghdr for recvmsg(2) on a 64-bit kernel, with one vector, `bytes`, and room for a control message of so many descriptors behind it, in
 * one piece of memory. The caller keeps `bytes` alive as long as the message.
 */
export function messageOf(bytes: Uint8Array, descriptors: number): Uint8Array {
  const controlBytes = controlHeaderBytes + 4 * descriptors;
  // struct cmsghdr is aligned to 8; so is the whole.
  const memory = new Uint8Array(controlOffset + ((controlBytes + 7) & ~7));
  const view = new DataView(memory.buffer);
  const address = addressOf(memory);
  setAddress(view, 16, address + headerBytes);
  view.setUint32(24, 1, true);
  setAddress(view, 32, address + controlOffset);
  view.setUint32(40, controlBytes, true);
  setAddress(view, headerBytes, addressOf(bytes));
  view.setUint32(headerBytes + 8, bytes.length, true);
  return memory;
}

/** The descriptors that recvmsg(2) has put into the message; none when what came is no SCM_RIGHTS. They are the process's from now on. */
export function descriptorsOf(message: Uint8Array): number[] {
  const view = new DataView(message.buffer);
  // What recvmsg(2) has made of msg_controllen and of the header.
  const length = Math.min(view.getUint32(40, true), view.getUint32(controlOffset, true));
  if (length < controlHeaderBytes) return [];
  if (view.getUint32(controlOffset + 8, true) !== SOL_SOCKET) return [];
  if (view.getUint32(controlOffset + 12, true) !== SCM_RIGHTS) return [];
  const descriptors = [];
  for (let offset = controlHeaderBytes; offset + 4 <= length; offset += 4)
    descriptors.push(view.getInt32(controlOffset + offset, true));
  return descriptors;
}

function setAddress(view: DataView, offset: number, address: number): void {
  view.setUint32(offset, address, true);
  view.setUint32(offset + 4, address / 2 ** 32, true);
}
