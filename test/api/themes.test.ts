// The themes of Multus' own end-to-end and unit tests, a row each, through the compiled executable and a real API server. Those of its daemon
// (informers, server, config generator, entry points) are not here: they are about programs that have no part in a call.
import { beforeEach, expect, test } from "vitest";
import { rmSync } from "node:fs";
import { dispatcherThemes } from "./themes/dispatcher.ts";
import { e2e } from "./themes/e2e.ts";
import { lookupThemes } from "./themes/lookups.ts";
import { valueThemes } from "./themes/values.ts";
import { useApiSite } from "./use-site.ts";

const site = useApiSite();
const themes = [...e2e, ...dispatcherThemes, ...lookupThemes, ...valueThemes];

beforeEach(() => {
  for (const folder of ["net.d", "cni", "leases"]) rmSync(site().local.path(folder), { recursive: true, force: true });
});

test("no theme is there twice", () => {
  expect(new Set(themes.map(({ theme }) => theme)).size).toBe(themes.length);
});

test.each(themes.map(({ suite, theme, holds }) => [suite, theme, holds] as const))(
  "%s: %s",
  async (_, _theme, holds) => {
    await holds(site());
  },
);
