// Every code of `polynic check` stands in docs/operations.md, and none that does not exist.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { neededRights } from "../../src/preflight/cluster.ts";

const root = join(import.meta.dirname, "..", "..");
const page = readFileSync(join(root, "docs", "operations.md"), "utf8");

test("the codes of the page are those of the code", () => {
  const folder = join(root, "src", "preflight");
  const source = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
  const written = source.flatMap((text) => [
    ...text.matchAll(/"((?:system|kernel|portmap|folder|install|conf|api|crd)-[a-z]+|token-expiry)"|"(kubeconfig)"/g),
  ]);
  const kinds = ["bridge", "macvlan", "ipvlan", "vlan", "vrf"].map((kind) => `kernel-${kind}`);
  const rights = neededRights.map(({ verb, resource, subresource }) =>
    ["rbac", verb, resource.plural, subresource].filter((part) => part !== undefined).join("-"),
  );
  const codes = new Set([...written.map((match) => match[1] ?? match[2]), ...kinds, ...rights]);
  const rows = page.split("\n").filter((line) => /^\| `[a-z]+(-[a-z]+)+`|^\| `kubeconfig`/.test(line));
  const listed = rows.flatMap((row) => [...(row.split("|")[1] ?? "").matchAll(/`([^`]+)`/g)].map((match) => match[1]));
  const ours = listed.filter(
    (code) =>
      codes.has(code) ||
      /^(?:system|kernel|portmap|folder|install|conf|kubeconfig|token|api|rbac|crd)/.test(code ?? ""),
  );
  expect(new Set(ours)).toEqual(codes);
});
