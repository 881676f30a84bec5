import { isJsonObject, type JsonValue } from "../json/value.ts";
import {
  lengthOffset,
  namespaceOffset,
  podOffset,
  requestBytesMax,
  requestMark,
  rootOffset,
  textOffset,
  umaskOffset,
} from "./protocol.ts";

/** A call that a caller wants done. */
export interface AgentRequest {
  /** What the caller was built from. */
  readonly build: string;
  /** The name that it was called as. */
  readonly name: string;
  readonly environment: Readonly<Record<string, string>>;
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

/** How many bytes the request has that begins like this: undefined for what is none, or not long enough to say. */
export function lengthOf(bytes: Uint8Array): number | undefined {
  if (bytes.length < lengthOffset + 4) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0, true) !== requestMark) return undefined;
  const length = view.getUint32(lengthOffset, true);
  return length <= textOffset || length > requestBytesMax ? undefined : length;
}

/** A whole request; undefined for bytes that are none. Never throws, whatever the bytes. */
export function decodeRequest(bytes: Uint8Array): AgentRequest | undefined {
  if (lengthOf(bytes) !== bytes.length) return undefined;
  const text = parsed(bytes.subarray(textOffset));
  if (!Array.isArray(text) || text.length !== 3) return undefined;
  const [build, name, environment] = text as JsonValue[];
  if (typeof build !== "string" || typeof name !== "string" || !isJsonObject(environment)) return undefined;
  for (const variable in environment) if (typeof environment[variable] !== "string") return undefined;
  return {
    build,
    name,
    environment: environment as Record<string, string>,
    umask: new DataView(bytes.buffer, bytes.byteOffset).getUint32(umaskOffset, true) & 0o777,
    namespace: identityAt(bytes, namespaceOffset),
    root: identityAt(bytes, rootOffset),
    pod: identityAt(bytes, podOffset),
  };
}

/** The identity of a file whose struct stat stands there, as `identityOf` has it. */
function identityAt(bytes: Uint8Array, offset: number): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset);
  return identityOf({ device: view.getBigUint64(0, true), inode: view.getBigUint64(8, true) });
}

/** What two paths have in common that lead to one file. */
export function identityOf({ device, inode }: { readonly device: bigint; readonly inode: bigint }): string {
  return `${device}:${inode}`;
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
