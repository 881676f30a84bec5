// Read by tar(1): the format is its, not ours.
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { tar } from "./tar.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function listing(archive: Uint8Array, ...args: string[]): string {
  return spawnSync("tar", [...args, "-f", "-"], { input: archive, encoding: "utf8" }).stdout;
}

test("tar(1) lists folders, files with their modes and links", () => {
  const archive = tar([
    { kind: "folder", path: "bin" },
    { kind: "file", path: "bin/tool", content: bytes("x".repeat(513)), mode: 0o755 },
    { kind: "link", path: "bin/other", target: "tool" },
    { kind: "file", path: "empty", content: bytes("") },
  ]);
  expect(archive.length % 512).toBe(0);
  const lines = listing(archive, "-tv", "--utc").trim().split("\n");
  expect(lines.map((line) => line.replace(/ +/g, " "))).toEqual([
    "drwxr-xr-x root/root 0 1970-01-01 00:00 bin/",
    "-rwxr-xr-x root/root 513 1970-01-01 00:00 bin/tool",
    "lrwxrwxrwx root/root 0 1970-01-01 00:00 bin/other -> tool",
    "-rw-r--r-- root/root 0 1970-01-01 00:00 empty",
  ]);
  expect(listing(archive, "-xO", "bin/tool")).toBe("x".repeat(513));
});

test("a path that no header holds is refused instead of being cut", () => {
  expect(() => tar([{ kind: "folder", path: "a".repeat(101) }])).toThrow("too long");
});
