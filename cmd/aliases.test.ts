import { expect, test } from "vitest";
import { commandWords } from "./aliases.ts";

test.each<[string, readonly string[], readonly string[]]>([
  ["polynic", ["install", "-operation=copy", "-d", "/x"], ["install", "--operation=copy", "-d", "/x"]],
  ["gkecmd", ["-operation=copy", "-cni-bin-dir=/x"], ["install", "--operation=copy", "--cni-bin-dir=/x"]],
  ["thin_entrypoint", ["--cni-version", "1.0.0"], ["install", "--watch", "--cni-version", "1.0.0"]],
  ["install_multus", ["-t", "thin", "--d=/x"], ["install", "--operation=copy", "-t", "thin", "--d=/x"]],
  ["install-cni.sh", [], ["install", "--operation=copy", "--replace"]],
  ["polynic", ["play", "-f", "x", "-oyaml"], ["play", "-f", "x", "-oyaml"]],
])("%s %j", (name, args, want) => {
  expect(commandWords(name, args)).toEqual([...want]);
});
