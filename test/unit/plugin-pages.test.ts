import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { builtinNames } from "../../src/plugins/table.ts";
import { pageNames, readPage } from "../kit/plugin-pages.ts";

const source = join(import.meta.dirname, "..", "..", "src");
/** Plugins that are no network's: the dispatcher has docs/configuration.md. */
const withoutPage = ["multus", "passthru"];
/** Those that make an interface take further keys, by code that they share. */
const makers = ["bridge", "ipvlan", "macvlan", "vlan"];
/** Every config may have them: the specification says what they are. */
const common = ["capabilities", "cni", "ipam"];

/** The code of a plugin, without its tests. */
function codeOf(name: string): string {
  const [folder = ""] = ["plugins", "ipam"]
    .map((storey) => join(source, storey, name))
    .filter((path) => existsSync(path));
  const files = readdirSync(folder)
    .filter((file) => file.endsWith(".ts") && !file.includes(".test"))
    .map((file) => join(folder, file));
  if (makers.includes(name)) files.push(join(source, "plugins", "common", "early-sysctls.ts"));
  return files.map((file) => readFileSync(file, "utf8")).join("\n");
}

/** The keys that its schemas read: members whose schema may be absent, which are all of a config. */
function keysOf(name: string): string[] {
  const keys = [
    ...codeOf(name).matchAll(/\b(\w+): (?:optional|address|addresses|rangeSets|ipList|dnsSchema|trunkSchema)\(/g),
  ];
  return [...new Set(keys.map(([, key = ""]) => key))].filter((key) => !common.includes(key));
}

/** The words that a page writes as code. */
function wordsOf(text: string): Set<string> {
  const spans = [...text.replaceAll(/^```.*?^```$/gms, "").matchAll(/`([^`\n]+)`/g)].flatMap(
    ([, span = ""]) => span.match(/\w+/g) ?? [],
  );
  return new Set(spans);
}

/** The first column of its tables of keys. */
function listedKeys(page: string): string[] {
  const [, ...tables] = page.split(/^\| key \|.*$/m);
  const rows = tables.flatMap((table) => (table.split("\n\n")[0] ?? "").split("\n").slice(2));
  return rows.flatMap((row) => [...wordsOf(row.split("|")[1] ?? "")]);
}

test("every plugin has a page, and every page a plugin", () => {
  expect(pageNames()).toEqual(
    builtinNames()
      .filter((name) => !withoutPage.includes(name))
      .sort(),
  );
});

describe.each(pageNames())("docs/plugins/%s.md", (name) => {
  test("tells of every key that the plugin reads", () => {
    const words = wordsOf(readPage(name));
    expect(keysOf(name).filter((key) => !words.has(key))).toEqual([]);
  });

  test("lists no key that the plugin does not read", () => {
    const code = codeOf(name);
    const known = (key: string) => common.includes(key) || new RegExp(`\\b${key}\\b`).test(code);
    expect(listedKeys(readPage(name)).filter((key) => !known(key))).toEqual([]);
  });

  test("says what each verb promises, and where the differences are", () => {
    const page = readPage(name);
    for (const verb of ["ADD", "DEL", "GC", "CHECK", "STATUS"]) expect(page).toContain(verb);
    expect(page).toContain(`differences.md#${name})`);
    expect(readFileSync(join(source, "..", "docs", "differences.md"), "utf8")).toMatch(new RegExp(`^## ${name}$`, "m"));
  });
});

test("docs/configuration.md leads to every page", () => {
  const index = readFileSync(join(source, "..", "docs", "configuration.md"), "utf8");
  expect(pageNames().filter((name) => !index.includes(`](plugins/${name}.md)`))).toEqual([]);
});

test("some keys are found at all", () => {
  expect(keysOf("sbr")).toEqual(["table", "gateways", "addSourceHints"]);
  expect(keysOf("host-local")).toContain("rangeStart");
  expect(keysOf("portmap")).toContain("hostIP");
});
