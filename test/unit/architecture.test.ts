// The graph of ARCHITECTURE.md is that of the imports: every storey stands in it, and no import points up or sideways.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");
const page = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");
const folders = readdirSync(join(root, "src"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);
const storeys = new Set([...folders, "cmd"]);

/** The levels of the graph from the top: what stands between two arrows may not import each other. */
function levels(): string[][] {
  const [, graph = ""] = /\n```\n(cmd [^]*?)\n```\n/.exec(page) ?? [];
  return graph.split(/\n {2}│\n/).map((block) =>
    block.split("\n").flatMap((line) => {
      // Names, then what they are; a line that goes on has no name.
      const [names = ""] = /^(?:\w+ +)+/.exec(`${line} `) ?? [];
      const words = names.trim().split(/ +/);
      const end = words.findIndex((word) => !storeys.has(word));
      return end === -1 ? words : words.slice(0, end);
    }),
  );
}

/** "from to" of each pair of storeys with an import, lazy ones counted, and one file for it. */
function importsBetween(): Map<string, string> {
  const found = new Map<string, string>();
  for (const top of ["src", "cmd"]) {
    for (const name of readdirSync(join(root, top), { recursive: true, encoding: "utf8" })) {
      if (!name.endsWith(".ts") || /\.test(-data)?\.ts$/.test(name)) continue;
      const file = join(top, name);
      const { imports } = new Bun.Transpiler({ loader: "ts" }).scan(readFileSync(join(root, file), "utf8"));
      for (const { path } of imports) {
        if (!path.startsWith(".")) continue;
        const [from, to] = [file, relative(root, join(root, dirname(file), path))].map(storeyOf);
        if (from !== to) found.set(`${from} ${to}`, file);
      }
    }
  }
  return found;
}

function storeyOf(file: string): string {
  const [top = "", folder = ""] = file.split("/");
  return top === "src" ? folder : top;
}

describe("the graph of ARCHITECTURE.md", () => {
  const heights = new Map(levels().flatMap((names, depth) => names.map((name) => [name, -depth] as const)));

  test("has every storey once, and no other", () => {
    expect(levels().flat().toSorted()).toEqual([...storeys].toSorted());
  });

  test("is that of the imports: each points down", () => {
    const imports = importsBetween();
    expect(imports.size).toBeGreaterThan(60);
    const wrong = [...imports].filter(([pair]) => {
      const [from = "", to = ""] = pair.split(" ");
      return (heights.get(from) ?? 0) <= (heights.get(to) ?? 0);
    });
    expect(wrong).toEqual([]);
  });
});
