// Every error code that an operator may meet stands in docs/operations.md with what to do, and none that does not exist.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { code } from "../../src/cni/error.ts";
import { neededRights } from "../../src/preflight/cluster.ts";

const root = join(import.meta.dirname, "..", "..");
const read = (...path: string[]): string => readFileSync(join(root, ...path), "utf8");
const page = read("docs", "operations.md");

/** The rows of the table whose first title is this one. */
function rowsOf(title: string): string[][] {
  const [, table = ""] = page.split(`\n| ${title} |`);
  const [body = ""] = table.split("\n\n");
  return body
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .map((line) => line.slice(2, -2).split(" | "));
}

const quoted = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "");

/** The members of a union of string literals. */
function membersOf(source: string, type: string): string[] {
  const body = source.split(`type ${type} =`)[1]?.split(";")[0] ?? "";
  return [...body.matchAll(/"([\w-]+)"/g)].map((match) => match[1] ?? "");
}

test("every code of the CNI specification that polynic gives is listed once", () => {
  const rows = rowsOf("CNI code");
  const listed = rows.flatMap(([codes = ""]) => (codes.match(/\d+/g) ?? []).map(Number));
  expect(listed.toSorted((a, b) => a - b)).toEqual([...Object.values(code), 100].toSorted((a, b) => a - b));
});

test("every reason of a warning is listed once", () => {
  const reasons = membersOf(read("src", "multus", "dispatch-error.ts"), "FailureReason");
  expect(reasons.length).toBeGreaterThan(8);
  expect(
    rowsOf("reason of the pod's event")
      .flatMap(([names = ""]) => quoted(names))
      .toSorted(),
  ).toEqual(reasons.toSorted());
});

describe("what install and uninstall refuse", () => {
  const rows = rowsOf("kind");

  test("is listed, each kind once", () => {
    const kinds = membersOf(read("src", "install", "install-error.ts"), "InstallErrorCode");
    expect(kinds.length).toBeGreaterThan(4);
    expect(rows.flatMap(([kind = ""]) => quoted(kind)).toSorted()).toEqual(kinds.toSorted());
  });

  test("is told in the words that stand there", () => {
    const folders = ["src/install", "src/libc"];
    const sources = folders.flatMap((folder) => readdirSync(join(root, folder)).map((name) => read(folder, name)));
    const text = sources.join("\n").replaceAll(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, "…");
    const pieces = rows.flatMap(([, lines = ""]) => quoted(lines).flatMap((line) => line.split("…")));
    const words = pieces.map((piece) => piece.replace(/^: |^open$/, "").trim()).filter((piece) => piece !== "");
    expect(words.length).toBeGreaterThan(8);
    expect(words.filter((piece) => !text.includes(piece))).toEqual([]);
  });
});

test("the codes of `polynic check` are those of the code, each with its words", () => {
  const folder = join(root, "src", "preflight");
  const source = readdirSync(folder).map((name) => read("src", "preflight", name));
  const written = source.flatMap((text) => [
    ...text.matchAll(/"((?:system|kernel|portmap|folder|install|conf|api|crd)-[a-z]+|token-expiry)"|"(kubeconfig)"/g),
  ]);
  const kinds = ["bridge", "macvlan", "ipvlan", "vlan", "vrf"].map((kind) => `kernel-${kind}`);
  const rights = neededRights.map(({ verb, resource, subresource }) =>
    ["rbac", verb, resource.plural, subresource].filter((part) => part !== undefined).join("-"),
  );
  const codes = new Set([...written.map((match) => match[1] ?? match[2]), ...kinds, ...rights]);
  const rows = rowsOf("code");
  expect(new Set(rows.flatMap(([names = ""]) => quoted(names)))).toEqual(codes);
  for (const [name, looked = "", failed = ""] of rows)
    expect([name, looked.length > 2, failed.length > 2]).toEqual([name, true, true]);
});
