// The storeys of ARCHITECTURE.md are held by the linter: planted offences must fail it, and the tree as it is must pass.
import { cpSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { useTemporaryFolder } from "../kit/hooks.ts";

const root = join(import.meta.dirname, "..", "..");

/** From the ground up; those of one line may not import each other either. */
const storeys = [
  ["words"],
  ["ip", "json", "libc", "undo"],
  ["log"],
  ["netlink"],
  ["rtnl", "nft"],
  ["netns"],
  ["kube"],
  ["pool"],
  ["cluster", "cni"],
  ["ipam"],
  ["plugins"],
  ["multus"],
  ["play", "install", "preflight", "controller", "agent"],
  ["cmd"],
];

interface Complaint {
  readonly code: string;
  readonly filename: string;
}

const project = useTemporaryFolder();

beforeAll(() => {
  for (const name of ["src", "cmd", ".oxlintrc.json", "tsconfig.json"]) {
    cpSync(join(root, name), join(project().path, name), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(project().path, "node_modules"));
});

/** What `npm run check` has to say about the import rules, by its own configuration, in the copy. */
function complaints(): Complaint[] {
  const program = join(root, "node_modules", "oxlint", "bin", "oxlint");
  const done = Bun.spawnSync(["node", program, "--import-plugin", "--deny-warnings", "--format=json"], {
    cwd: project().path,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const { diagnostics } = JSON.parse(done.stdout.toString()) as { diagnostics: Complaint[] };
  // One that complains must also fail, or CI would not see it.
  expect(done.exitCode).toBe(diagnostics.length === 0 ? 0 : 1);
  return diagnostics.filter(({ code }) => code === "eslint(no-restricted-imports)" || code === "import(no-cycle)");
}

test("the tree as it is passes", () => {
  expect(complaints()).toEqual([]);
});

describe("planted in a copy of the tree", () => {
  const upward = storeys.flatMap((level, height) =>
    level
      .filter((storey) => storey !== "cmd")
      .flatMap((from) =>
        storeys.slice(height).flatMap((above) => above.filter((to) => to !== from).map((to) => ({ from, to }))),
      ),
  );

  test("each upward import is refused, lazy ones too", () => {
    const planted: string[] = [];
    for (const { from, to } of upward) {
      const target = to === "cmd" ? "../../cmd/any.ts" : `../${to}/any.ts`;
      planted.push(`src/${from}/planted-${to}.ts`, `src/${from}/planted-lazy-${to}.ts`);
      project().write(`src/${from}/planted-${to}.ts`, `export { any } from "${target}";\n`);
      project().write(`src/${from}/planted-lazy-${to}.ts`, `export const any = (): unknown => import("${target}");\n`);
    }
    const refused = complaints().filter(({ code }) => code === "eslint(no-restricted-imports)");
    expect(refused.map(({ filename }) => filename).sort()).toEqual(planted.sort());
  });

  test("a cycle within a storey is refused", () => {
    project().write("src/ip/cycle-a.ts", 'import { b } from "./cycle-b.ts";\nexport const a = (): number => b();\n');
    project().write("src/ip/cycle-b.ts", 'import { a } from "./cycle-a.ts";\nexport const b = (): number => a();\n');
    const cycles = complaints().filter(({ code }) => code === "import(no-cycle)");
    expect(cycles.map(({ filename }) => filename).sort()).toEqual(["src/ip/cycle-a.ts", "src/ip/cycle-b.ts"]);
  });
});

test("no file reaches itself through its imports, lazy ones counted", () => {
  const imports = new Map(
    readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => [join("src", name), importsOf(join("src", name))]),
  );
  expect([...imports.keys()].flatMap((file) => wayBack(file, imports) ?? [])).toEqual([]);
});

/** The linter's rule looks at static imports only; a lazy one that leads back is as hard to understand. */
function importsOf(file: string): string[] {
  const { imports } = new Bun.Transpiler({ loader: "ts" }).scan(readFileSync(join(root, file), "utf8"));
  return imports
    .filter(({ path }) => path.startsWith("."))
    .map(({ path }) => relative(root, join(root, dirname(file), path)));
}

/** The files on a way from `file` back to itself, or undefined when there is none. */
function wayBack(file: string, imports: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const seen = new Set<string>();
  const search = (at: string, way: readonly string[]): string[] | undefined => {
    for (const next of imports.get(at) ?? []) {
      if (next === file) return [...way, next];
      if (seen.has(next)) continue;
      seen.add(next);
      const found = search(next, [...way, next]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return search(file, [file]);
}
