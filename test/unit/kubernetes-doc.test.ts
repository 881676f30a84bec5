// docs/kubernetes.md promises every key, annotation, event and error: it is held to the code.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { code } from "../../src/cni/error.ts";

const root = join(import.meta.dirname, "..", "..");
const doc = readFileSync(join(root, "docs", "kubernetes.md"), "utf8");

const read = (...path: string[]): string => readFileSync(join(root, ...path), "utf8");

/** The rows of the tables under a heading, without their titles. */
function rowsUnder(heading: string): string[][] {
  const section = doc.split(`\n${heading}\n`)[1]?.split(/\n##+ /)[0] ?? "";
  return section
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("|---"))
    .map((line) => line.slice(2, -2).split(" | "));
}

const quoted = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "");

/** The members of the struct that is made under this name. */
function membersOf(source: string, name: string): string[] {
  const body = source.split(`const ${name} = struct({\n`)[1]?.split("\n});")[0] ?? "";
  return [...body.matchAll(/^ {2}"?([\w-]+)"?: /gm)].map((match) => match[1] ?? "");
}

const sources = (folder: string): string =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && !/\.test(-data)?\.ts$/.test(path))
    .map((path) => read(folder, path))
    .join("\n");

test("every config key is listed, and no other", () => {
  const listed = rowsUnder("## Config keys")
    .slice(1)
    .flatMap(([keys = ""]) => quoted(keys));
  const known = membersOf(read("src", "multus", "config.ts"), "schema");
  expect(known.length).toBeGreaterThan(25);
  expect(listed.toSorted()).toEqual(known.toSorted());
});

test("every key of a network selection element is listed, and no other", () => {
  const listed = quoted(/The keys of an object[^:]*: ([^]*?)\.\n/.exec(doc)?.[1] ?? "");
  expect(listed.toSorted()).toEqual(membersOf(read("src", "multus", "selection.ts"), "elementSchema").toSorted());
});

test("every annotation that the code knows is listed, and no other", () => {
  // Of what a call reads; controllers look at nodes too.
  const calls = ["src/cluster", "src/ipam", "src/multus", "src/plugins"].map(sources).join("\n");
  const known = calls.matchAll(/"((?:[\w.]+\.)?(?:cni\.cncf\.io|multus-cni\.io|kubernetes\.io)\/[\w.-]+)"/g);
  const listed = rowsUnder("## Annotations")
    .slice(1)
    .flatMap(([, key = ""]) => quoted(key));
  // Versions of APIs look alike.
  const keys = [...known].map((match) => match[1] ?? "").filter((key) => !/\/v\d/.test(key));
  expect(new Set(listed)).toEqual(new Set(keys));
});

test("every reason of an event is listed with its cure, and no other", () => {
  const reasons = read("src", "multus", "dispatch-error.ts").split("FailureReason =")[1]?.split(";")[0] ?? "";
  const known = [...reasons.matchAll(/"(\w+)"/g)].map((match) => match[1]);
  const rows = rowsUnder("## Events").slice(1);
  const listed = rows.flatMap(([reason = ""]) => quoted(reason));
  expect(new Set(listed)).toEqual(new Set([...known, "AddedInterface"]));
  for (const [reason, cure = ""] of rows) expect([reason, cure.length > 10]).toEqual([reason, true]);
});

describe("errors", () => {
  const rows = rowsUnder("## Errors and cures");

  test("every CNI code that polynic gives has its meaning", () => {
    const listed = rows.flatMap(([codes = ""]) => (/^\d/.test(codes) ? codes.match(/\d+/g)!.map(Number) : []));
    const given = Object.values(code).filter((each) => each !== code.internal);
    expect(given.filter((each) => !listed.includes(each))).toEqual([]);
  });

  test("what lines say is what the code says", () => {
    const text = sources("src").replaceAll(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, "…");
    const messages = rows.filter(([first = ""]) => first.includes("`")).flatMap(([first = ""]) => quoted(first));
    expect(messages.length).toBeGreaterThan(40);
    const pieces = messages.flatMap((message) => message.split(/…|<place>|[():]|\d{3}/)).map((piece) => piece.trim());
    const strange = pieces.filter((piece) => piece.length > 6 && !text.includes(piece.replace(/^[,;] /, "")));
    expect(strange).toEqual([]);
  });
});
