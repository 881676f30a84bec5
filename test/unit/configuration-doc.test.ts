// docs/configuration.md promises every key, annotation, event and variable: it is held to the code, and to the pages of the plugins.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { pageNames, readPage } from "../kit/plugin-pages.ts";

const root = join(import.meta.dirname, "..", "..");
const read = (...path: string[]): string => readFileSync(join(root, ...path), "utf8");
const page = read("docs", "configuration.md");
const config = read("src", "multus", "config.ts");

/** What every CNI config has: read before the dispatcher sees it. */
const everyConfig = ["cniVersion", "name", "type"];

/** The rows of the table below these titles. */
function rowsOf(text: string, titles: string): string[][] {
  const [, table = ""] = text.split(`\n| ${titles} |\n`);
  const [body = ""] = table.split("\n\n");
  return body
    .split("\n")
    .slice(1)
    .map((line) => line.slice(2, -2).split(" | "));
}

const quoted = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "");
const first = (rows: readonly string[][]): string[] => rows.flatMap(([cell = ""]) => quoted(cell)).toSorted();

/** The members of the struct that is made under this name. */
function membersOf(source: string, name: string): string[] {
  const body = source.split(`const ${name} = struct({\n`)[1]?.split("\n});")[0] ?? "";
  return [...body.matchAll(/^ {2}"?([\w-]+)"?: /gm)].map((match) => match[1] ?? "");
}

test("every key of the dispatcher's config is listed, and no other", () => {
  const known = [...everyConfig, ...membersOf(config, "schema")];
  expect(known.length).toBeGreaterThan(28);
  expect(first(rowsOf(page, "key | type | default | effect"))).toEqual(known.toSorted());
});

test("the log's options are those that are read, with their defaults", () => {
  const [, body = ""] = /logOptions: optional\(\n {4}struct\(\{\n([^]*?)\n {4}\}\)/.exec(config) ?? [];
  const options = [...body.matchAll(/^ {6}(\w+): optional\(.*, (\w+)\),$/gm)].map(([, key, value]) => [key, value]);
  const row = rowsOf(page, "key | type | default | effect").find(([key]) => key === "`logOptions`");
  expect(options.length).toBe(4);
  expect([...(row?.[2] ?? "").matchAll(/`(\w+)` (\w+)/g)].map(([, key, value]) => [key, value])).toEqual(options);
});

test("every key of a network selection element is listed, and no other", () => {
  const known = membersOf(read("src", "multus", "selection.ts"), "elementSchema");
  expect(first(rowsOf(page, "key of an element | type | effect"))).toEqual(known.toSorted());
});

test("every reason of an event is listed, and no other", () => {
  const reasons = read("src", "multus", "dispatch-error.ts").split("FailureReason =")[1]?.split(";")[0] ?? "";
  const known = [...reasons.matchAll(/"(\w+)"/g)].map((match) => match[1] ?? "");
  const listed = rowsOf(page, "type | reason | when").map(([, reason = ""]) => reason);
  expect(listed.toSorted()).toEqual([...known, "AddedInterface"].toSorted());
});

test("our own keys of plugins are those that their pages have in bold", () => {
  const inBold = (text: string): string[] => [...text.matchAll(/\*\*`(\w+)`\*\*/g)].map((match) => match[1] ?? "");
  const listed = rowsOf(page, "plugin | key | type | default | effect").flatMap(([plugins = "", key = ""]) =>
    plugins.split(", ").flatMap((plugin) => inBold(key).map((each) => `${plugin} ${each}`)),
  );
  const own = pageNames().flatMap((name) =>
    [...readPage(name).matchAll(/^\| \*\*`(\w+)`\*\* \|/gm)].map(([, key]) => `${name} ${key}`),
  );
  // The network's own key of that name is the original's.
  const ofRanges = "whereabouts node_slice_size";
  expect(listed.toSorted()).toEqual([...own, ofRanges].toSorted());
});

test("every variable of ours that a call reads is told of", () => {
  const sources = ["src", "cmd"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts") && !/\.test(-data)?\.ts$/.test(name))
      .map((name) => read(folder, name)),
  );
  const names = new Set(sources.flatMap((text) => text.match(/POLYNIC_[A-Z]+/g) ?? []));
  // How deep calls are nested: a mark that one of our processes sets for another.
  names.delete("POLYNIC_DEPTH");
  expect(names.size).toBeGreaterThan(1);
  expect([...names].filter((name) => !page.includes(`\`${name}`))).toEqual([]);
});
