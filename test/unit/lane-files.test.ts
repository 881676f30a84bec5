// Parts of lanes: nothing is run twice, and nothing is forgotten.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fileGroups, slowFiles } from "../lane-files.ts";
import { partsOf } from "../lane-part.ts";
import { lanes } from "../lanes.ts";

const root = join(import.meta.dirname, "..", "..");

describe.each(lanes.filter(({ parts }) => parts > 1))("the parts of lane $name", (lane) => {
  test("have each file of the lane once", () => {
    const files = partsOf(lane, []).flatMap(({ filters }) => filters);
    const all = [...new Bun.Glob(`test/${lane.name}/**/*.test.ts`).scanSync({ cwd: root })];
    expect(files.toSorted()).toEqual(all.sort());
    // Vitest takes every file whose path has the argument in it.
    const others = [...new Bun.Glob("{src,cmd,tools,test}/**/*.test.ts").scanSync({ cwd: root })];
    for (const file of files) expect(others.filter((other) => other.includes(file))).toEqual([file]);
  });
  test("are one where tests are asked for", () => {
    expect(partsOf(lane, ["-t", "title"])).toMatchObject([{ count: 1, filters: ["-t", "title"] }]);
  });
});

test("what takes longest comes first, and no part is empty", () => {
  const groups = fileGroups(root, "test/cri", 1000);
  expect(groups.map(({ files }) => files.length)).toEqual(groups.map(() => 1));
  expect(groups[0]?.files).toEqual(["test/cri/load.test.ts"]);
});

test("files that are known to be slow are there", () => {
  expect(Object.keys(slowFiles).filter((file) => !existsSync(join(root, file)))).toEqual([]);
});
