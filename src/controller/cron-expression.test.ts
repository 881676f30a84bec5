import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { cronExpression } from "./cron-expression.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "polynic-cron-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const flat = '{ "datastore": "kubernetes", "reconciler_cron_expression": "1 2 * * *" }';

test.each<[string, given: string, files: Readonly<Record<string, string>>, want: string]>([
  ["the option before all", "* * * * *", { mounted: "0 * * * *", second: flat }, "* * * * *"],
  ["the mounted ConfigMap before the flat file", "", { mounted: "0 * * * *\n", second: flat }, "0 * * * *"],
  ["the flat file when the ConfigMap is empty", "", { mounted: "\n", second: flat }, "1 2 * * *"],
  ["the flat file with comments, as the plugin reads it", "", { second: `# by hand\n${flat}` }, "1 2 * * *"],
  ["only the first flat file that exists", "", { first: "{}", second: flat }, "30 4 * * *"],
  ["once a day when nothing says when", "", {}, "30 4 * * *"],
])("%s", (_, given, files, want) => {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const places = { mounted: join(folder, "mounted"), flat: [join(folder, "first"), join(folder, "second")] };
  expect(cronExpression(given, places)).toBe(want);
});

test("a flat file that can't be understood is named", () => {
  const path = join(folder, "first");
  writeFileSync(path, '{ "reconciler_cron_expression": ');
  expect(() => cronExpression("", { mounted: join(folder, "mounted"), flat: [path] })).toThrow(
    `whereabouts' flat file ${path}: `,
  );
});
