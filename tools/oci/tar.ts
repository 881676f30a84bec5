// A tar archive in memory (POSIX.1-1988 ustar): what an image's layers and its own archive are made of. The same files give the same bytes.

export type TarEntry =
  | { readonly kind: "folder"; readonly path: string; readonly mode?: number }
  | { readonly kind: "file"; readonly path: string; readonly content: Uint8Array; readonly mode?: number }
  | { readonly kind: "link"; readonly path: string; readonly target: string };

const blockBytes = 512;
const nameBytes = 100;
const typeFlags = { file: "0", link: "2", folder: "5" } as const;
const noContent = new Uint8Array(0);

/** The archive of the entries, in order, owned by root, dated at the epoch. Throws for a path that no header holds (100 bytes). */
export function tar(entries: readonly TarEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const entry of entries) {
    const content = entry.kind === "file" ? entry.content : noContent;
    parts.push(header(entry, content.length), content, new Uint8Array(padding(content.length)));
  }
  // Two empty blocks are the end.
  parts.push(new Uint8Array(2 * blockBytes));
  return joined(parts);
}

function padding(size: number): number {
  return (blockBytes - (size % blockBytes)) % blockBytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function header(entry: TarEntry, size: number): Uint8Array {
  const block = new Uint8Array(blockBytes);
  const put = (text: string, at: number): void => void new TextEncoder().encodeInto(text, block.subarray(at));
  const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, "0")}\0`;
  const path = entry.kind === "folder" ? `${entry.path}/` : entry.path;
  const target = entry.kind === "link" ? entry.target : "";
  for (const name of [path, target])
    if (new TextEncoder().encode(name).length > nameBytes) throw new RangeError(`${name} is too long for a tar header`);
  put(path, 0);
  put(octal(modeOf(entry), 7), 100);
  put(octal(0, 7), 108);
  put(octal(0, 7), 116);
  put(octal(size, 11), 124);
  put(octal(0, 11), 136);
  put(" ".repeat(8), 148);
  put(typeFlags[entry.kind], 156);
  put(target, 157);
  put("ustar", 257);
  put("00", 263);
  put("root", 265);
  put("root", 297);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

function modeOf(entry: TarEntry): number {
  if (entry.kind === "link") return 0o777;
  return entry.mode ?? (entry.kind === "folder" ? 0o755 : 0o644);
}
