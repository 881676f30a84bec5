import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { layout, lockRoot, type PlayState, readPlayState, writePlayState } from "./state.ts";

let root: string;
beforeEach(() => {
  root = join(mkdtempSync(join(tmpdir(), "polynic-root-")), "new");
});
afterEach(() => {
  rmSync(join(root, ".."), { recursive: true });
});

const state: PlayState = {
  node: "/run/netns/n",
  pods: [{ namespace: "default", name: "web", uid: "u", containerId: "c", netns: "/n", play: 3 }],
};

test("the state is read back as it was written", () => {
  expect(readPlayState(root)).toBeUndefined();
  using _lock = lockRoot(root);
  writePlayState(root, state);
  expect(readPlayState(root)).toEqual(state);
});

test("a damaged state is named with what is wrong", () => {
  mkdirSync(root);
  writeFileSync(layout.state(root), '{"pods": [{}]}');
  expect(() => readPlayState(root)).toThrow(/state.json is damaged: \$\.pods\[0\]/);
});

test("only one play works under a root at a time", () => {
  {
    using _lock = lockRoot(root);
    expect(() => lockRoot(root)).toThrow("another polynic play is at work");
  }
  using _again = lockRoot(root);
});

test("a folder with other files is refused", () => {
  mkdirSync(join(root, "bin"), { recursive: true });
  expect(() => lockRoot(root)).toThrow("holds other files (bin)");
});
