import {
  environmentLengthOffset,
  headerBytes,
  lengthOffset,
  namespaceOffset,
  podOffset,
  requestBytesMax,
  requestMark,
  rootOffset,
  umaskOffset,
} from "./protocol.ts";

/** A call that a caller wants done. */
export interface AgentRequest {
  /** What the caller was built from. */
  readonly build: string;
  /** The name that it was called as; "" for the plugin that the config's "type" names. */
  readonly name: string;
  readonly environment: Readonly<Record<string, string>>;
  /** What the caller has read of its standard input. */
  readonly input: Uint8Array;
  readonly umask: number;
  /** Of its network namespace, see `identityOf`. */
  readonly namespace: string;
  /** Of its root folder. */
  readonly root: string;
  /** Of CNI_NETNS as the caller sees it; `nothing` when nothing is there. */
  readonly pod: string;
}

/** The identity of what does not exist. */
export const nothing = "0:0";

const decoder = new TextDecoder();
const NUL = "\0";

/** How many bytes the request has that begins like this: undefined for what is none, or not long enough to say. */
export function lengthOf(bytes: Uint8Array): number | undefined {
  if (bytes.length < headerBytes) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== requestMark) return undefined;
  const length = view.getUint32(lengthOffset, true);
  return length <= headerBytes || length > requestBytesMax ? undefined : length;
}

/** A whole request; undefined for bytes that are none. Never throws, whatever the bytes. */
export function decodeRequest(bytes: Uint8Array): AgentRequest | undefined {
  if (lengthOf(bytes) !== bytes.length) return undefined;
  const view = viewOf(bytes);
  const environmentEnd = headerBytes + view.getUint32(environmentLengthOffset, true);
  if (environmentEnd > bytes.length) return undefined;
  const buildEnd = bytes.indexOf(0, environmentEnd);
  const nameEnd = bytes.indexOf(0, buildEnd + 1);
  if (buildEnd < 0 || nameEnd < 0) return undefined;
  return {
    build: decoder.decode(bytes.subarray(environmentEnd, buildEnd)),
    name: decoder.decode(bytes.subarray(buildEnd + 1, nameEnd)),
    input: bytes.subarray(nameEnd + 1),
    environment: environmentOf(decoder.decode(bytes.subarray(headerBytes, environmentEnd))),
    umask: view.getUint32(umaskOffset, true) & 0o777,
    namespace: identityAt(view, namespaceOffset),
    root: identityAt(view, rootOffset),
    pod: identityAt(view, podOffset),
  };
}

/** What two paths have in common that lead to one file. */
export function identityOf({ device, inode }: { readonly device: bigint; readonly inode: bigint }): string {
  return `${device}:${inode}`;
}

function identityAt(view: DataView, offset: number): string {
  return identityOf({ device: view.getBigUint64(offset, true), inode: view.getBigUint64(offset + 8, true) });
}

/** Variables by name, what has no name left out. Without a prototype: a variable may have any name. */
function environmentOf(text: string): Record<string, string> {
  const environment = Object.create(null) as Record<string, string>;
  for (const entry of text.split(NUL)) {
    const equals = entry.indexOf("=");
    if (equals > 0) environment[entry.slice(0, equals)] = entry.slice(equals + 1);
  }
  return environment;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
