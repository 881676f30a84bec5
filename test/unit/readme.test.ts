// What the README promises is what the executable has.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { pluginNames } from "../../cmd/builtins.ts";

const root = join(import.meta.dirname, "..", "..");
const readme = readFileSync(join(root, "README.md"), "utf8");

test("the README lists every plugin that is built in, and no other", () => {
  const rows = readme.split("\n").filter((line) => /^\| (dispatcher|interface|plugins|IPAM)/.test(line));
  const listed = rows.flatMap((row) => [...row.matchAll(/`([^`]+)`/g)].map((match) => match[1]));
  expect(new Set(listed)).toEqual(new Set(pluginNames()));
});
