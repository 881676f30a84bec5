// Which of the two builds a node gets; the heads of executables are enough here, test/cri/musl.test.ts runs real ones.
import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { TestFolder } from "./folder.test-data.ts";
import { chooseBuild } from "./host-system.ts";

const folder = new TestFolder();
const path = (...names: string[]): string => join(folder.path, ...names);
const said: string[] = [];
const architecture = process.arch === "arm64" ? "aarch64" : "x86_64";
const glibcLoader = process.arch === "arm64" ? "lib/ld-linux-aarch64.so.1" : "lib64/ld-linux-x86-64.so.2";
const muslLoader = `lib/ld-musl-${architecture}.so.1`;

const choose = (own: string, root = ""): string =>
  chooseBuild({
    own: path(own),
    root: root === "" ? "" : path(root),
    binDir: path("bin"),
    say: (line) => said.push(line),
  });

beforeEach(() => {
  folder.clear();
  said.length = 0;
  mkdirSync(path("bin"));
  folder.write("polynic", `ELF /${glibcLoader}`);
  folder.write("polynic-musl", `ELF /${muslLoader}`);
  folder.write(`glibc/${glibcLoader}`, "");
  folder.write(`musl/${muslLoader}`, "");
  folder.write("musl/usr/lib/libstdc++.so.6", "");
  folder.write(`bare/${muslLoader}`, "");
});

describe("where the node's / is seen", () => {
  test("its system decides, whichever of the two is running, and only musl is worth a word", () => {
    for (const own of ["polynic", "polynic-musl"]) {
      expect(choose(own, "glibc")).toBe(path("polynic"));
      expect(said).toEqual([]);
      expect(choose(own, "musl")).toBe(path("polynic-musl"));
      expect(said.splice(0)).toEqual(["the node's system has musl and no glibc: installing the musl build"]);
    }
  });

  test.each<[string, string]>([
    ["bare", "apk add libstdc++"],
    ["bin", "neither glibc nor musl"],
  ])("%s: refused", (root, message) => {
    expect(() => choose("polynic", root)).toThrow(
      expect.objectContaining({ code: "foreign-system", message: expect.stringContaining(message) }),
    );
  });

  test("without the other build at hand it is refused", () => {
    rmSync(path("polynic-musl"));
    expect(() => choose("polynic", "musl")).toThrow("polynic-musl is not here");
  });
});

describe("where it is not", () => {
  test("the running one is taken on a node that has none yet", () => {
    expect(choose("polynic")).toBe(path("polynic"));
    expect(choose("polynic-musl")).toBe(path("polynic-musl"));
    rmSync(path("bin"), { recursive: true });
    expect(choose("polynic")).toBe(path("polynic"));
  });

  test("the kind that is installed is kept, of whatever version", () => {
    folder.write("bin/polynic-0", `ELF /${muslLoader}`);
    symlinkSync("polynic-0", path("bin/multus"));
    expect(choose("polynic")).toBe(path("polynic-musl"));
    expect(said).toEqual([]);
  });
});
