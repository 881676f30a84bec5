// docs/upstream-tests.md speaks of tests that are there: each title that it names is one of the lane.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");
const text = readFileSync(join(root, "docs", "upstream-tests.md"), "utf8");
const sectionsOfUpstream = 17;
const literal = /"((?:[^"\\\n]|\\.)*)"|`([^`]*)`/g;
const literals = literalsByLane();

/** The themes of all tables: what upstream tests, and what is said of us. */
const themes = text
  .split("\n")
  .map((line) => /^\| (.+) \| (.+) \|$/.exec(line))
  .filter((row) => row !== null)
  .map(([, theme = "", ours = ""]) => [theme, ours] as const)
  .filter(([theme]) => theme !== "theme");

test("every section of upstream's tests has themes", () => {
  const sections = text.split(/^## /m).slice(1);
  expect(sections.map((section) => section.split(" ")[0])).toEqual(
    Array.from({ length: sectionsOfUpstream }, (_, index) => `9.${index + 1}`),
  );
  for (const section of sections) expect(section.match(/^\| (?!theme|-)/gm)?.length ?? 0, section).toBeGreaterThan(0);
  expect(themes.length).toBeGreaterThan(100);
});

describe.each(themes)("%s", (_, ours) => {
  test("is covered by tests that exist, or is not ours for a reason", () => {
    if (/^not ours, because .{20}/.test(ours)) return;
    expect(ours).toMatch(/^covered: /);
    for (const named of ours.slice("covered: ".length).split("<br>")) {
      const [, lane = "", title = ""] = /^(\w+): (.+)$/.exec(named) ?? [];
      expect([...(literals[lane] ?? [])], named).toContain(title);
    }
  });
});

/** The texts between quotes of any kind in the tests of each lane: titles and names of table rows are among them. */
function literalsByLane(): Record<string, ReadonlySet<string>> {
  const lanes: Record<string, Set<string>> = {};
  for (const path of ["src", "cmd", "test"].flatMap(filesBelow)) {
    const [top, folder = ""] = path.split("/");
    if (!/\.(test|guest)\.ts$/.test(path) && top !== "test") continue;
    const own = (lanes[top === "test" ? folder : "unit"] ??= new Set());
    for (const [, quoted, template] of readFileSync(join(root, path), "utf8").matchAll(literal)) {
      own.add(quoted ?? template ?? "");
    }
  }
  return lanes;
}

function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => join(folder, path));
}
