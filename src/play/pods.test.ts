import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ManifestCluster } from "../cluster/manifests.ts";
import { PodSources } from "./pods.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "polynic-pods-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function file(name: string, ...pods: string[]): string {
  const path = join(folder, name);
  writeFileSync(path, pods.map((pod) => `kind: Pod\nmetadata: {name: ${pod}}\n`).join("---\n"));
  return path;
}

test("pods come in the order of the files on the command line, and copies keep it", () => {
  mkdirSync(join(folder, "d"));
  const sources = new PodSources([
    file("z.yaml", "one", "two"),
    file("template", "three"),
    (file("d/a.yml", "four"), join(folder, "d")),
  ]);
  expect(sources.pods.map(({ name }) => name)).toEqual(["one", "two", "three", "four"]);
  sources.copyTo(join(folder, "copy"));
  expect(readdirSync(join(folder, "copy")).sort()).toEqual(["0000-z.yaml", "0001-template.yaml", "0002-a.yml"]);
  expect(new ManifestCluster(join(folder, "copy")).pods()).toEqual(sources.pods);
});

test("pods on the node's own network are left out", () => {
  const path = file("a.yaml", "one");
  writeFileSync(join(folder, "b.yaml"), "kind: Pod\nmetadata: {name: agent}\nspec: {hostNetwork: true}");
  expect(() => new PodSources([join(folder, "b.yaml")])).toThrow("hostNetwork: true and gets no network");
  expect(new PodSources([path, join(folder, "b.yaml")]).pods.map(({ name }) => name)).toEqual(["one"]);
});

test.each<[string, () => string[], string]>([
  ["nothing there", () => [join(folder, "none.yaml")], "none.yaml: no such file or directory"],
  ["standard input", () => ["-"], "name a file or a folder"],
  ["no pods", () => [file("empty.yaml")], "no Pod found in"],
  [
    "only what makes pods in a cluster",
    () => [join(folder, "d.yaml")],
    "d.yaml line 1) needs a controller that makes its pods; write its template as a Pod",
  ],
  ["a pod without a name", () => [file("a.yaml", '""')], "metadata.name must be a non-empty string"],
])("%s is bad input", (_, paths, want) => {
  writeFileSync(join(folder, "d.yaml"), "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n");
  const make = (): PodSources => new PodSources(paths());
  expect(make).toThrow(want);
  expect(make).toThrow(expect.objectContaining({ name: "InputError" }));
});
