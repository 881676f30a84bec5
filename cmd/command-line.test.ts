import { expect, test } from "vitest";
import { capture } from "./captured.test-data.ts";

test.each([
  ["no words", []],
  ["help", ["help"]],
  ["--help", ["--help"]],
])("%s shows what there is, with examples", async (_, args) => {
  const { exitCode, out, error } = await capture(...args);
  expect({ exitCode, error }).toEqual({ exitCode: 0, error: "" });
  expect(out).toContain("polynic play -f pods.yaml");
  expect(out).toContain("print the version and what is built in");
});

test.each([
  [["bogus"], "unknown command 'bogus'"],
  [["versoin"], "unknown command 'versoin' (Did you mean version?)"],
  [["help", "bogus"], "unknown command 'bogus'"],
  [["version", "--bogus"], "unknown option '--bogus'"],
  [["version", "more"], "too many arguments for 'version'"],
  [["--bogus"], "unknown option '--bogus'"],
  [["ipam"], "ipam: name one of its commands: show, who, check, release, hand-over"],
  [["controller"], "controller: name one of its commands: ipam"],
  [["ipam", "chekc"], "unknown command 'chekc' (Did you mean check?)"],
])("%j is bad input: one line and exit code 2", async (args, want) => {
  const { exitCode, out, error } = await capture(...args);
  expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
  expect(error).toContain(`polynic: ${want}`);
  expect(error.trimEnd()).not.toContain("\n");
});

test("help of a verb is that verb's own", async () => {
  const { exitCode, out } = await capture("help", "version");
  expect(exitCode).toBe(0);
  expect(out).toContain("Usage: polynic version");
});

test("help tells defaults that say something, and no empty ones", async () => {
  const { out } = await capture("help", "play");
  expect(out).toContain('(default: "/run/polynic/play")');
  expect(out).not.toMatch(/default: (?:""|\[\]|false)/);
});
