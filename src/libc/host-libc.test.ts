import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { hostLibc } from "./host-libc.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** A system of empty files; "a -> b" is a symbolic link. */
function system(...entries: readonly string[]): string {
  const root = mkdtempSync(join(tmpdir(), "polynic-test-"));
  folders.push(root);
  for (const entry of entries) {
    const [path = "", target] = entry.split(" -> ");
    mkdirSync(dirname(join(root, path)), { recursive: true });
    if (target === undefined) writeFileSync(join(root, path), "");
    else symlinkSync(target, join(root, path));
  }
  return root;
}

const isArm64 = process.arch === "arm64";
const glibc = isArm64 ? "/lib/ld-linux-aarch64.so.1" : "/lib64/ld-linux-x86-64.so.2";
const musl = isArm64 ? "/lib/ld-musl-aarch64.so.1" : "/lib/ld-musl-x86_64.so.1";
const cpp = "libstdc++.so.6";

test.each<[string, readonly string[], ReturnType<typeof hostLibc>]>([
  ["glibc", [glibc], { name: "glibc", loader: glibc, missing: "" }],
  ["glibc and musl beside it", [glibc, musl], { name: "glibc", loader: glibc, missing: "" }],
  [
    "glibc behind links that count from its own /",
    ["/x/ld.so", `${glibc} -> /y/ld.so`, "/y -> x"],
    { name: "glibc", loader: glibc, missing: "" },
  ],
  [
    "a link that leads out of it",
    [`${glibc} -> ../../../../../../etc/passwd`],
    { name: undefined, loader: glibc, missing: "" },
  ],
  [
    "a link that leads nowhere but in a circle",
    [`${glibc} -> ${glibc}`],
    { name: undefined, loader: glibc, missing: "" },
  ],
  ["musl with libstdc++", [musl, `/usr/lib/${cpp}`], { name: "musl", loader: musl, missing: "" }],
  ["musl without it", [musl], { name: "musl", loader: musl, missing: cpp }],
  ["neither", ["/bin/init"], { name: undefined, loader: glibc, missing: "" }],
])("a system with %s", (_, entries, want) => {
  expect(hostLibc(system(...entries))).toEqual(want);
});

test("musl looks where its own file of folders says, and nowhere else then", () => {
  const root = system(musl, `/opt/lib/${cpp}`);
  const file = join(root, musl.replace("/lib/", "/etc/").replace(".so.1", ".path"));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, "/lib\n/opt/lib:/x\n");
  expect(hostLibc(root).missing).toBe("");
  writeFileSync(file, "/lib");
  expect(hostLibc(root).missing).toBe(cpp);
});
