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
  [["--bogus"], "unknown option '--bogus'"],
  [["ipam"], "ipam: name one of its commands: show, who, check, release, hand-over"],
  [["controller"], "controller: name one of its commands: ipam"],
  [["controller", "ipam", "--gc-schedule", "x"], "option '--gc-schedule <cron>' argument 'x' is invalid"],
  [["ip-control-loop", "--cron-schedule", "x"], "option '--cron-schedule <cron>' argument 'x' is invalid"],
  [["ipam", "chekc"], "unknown command 'chekc' (Did you mean check?)"],
  [
    ["version", "more"],
    "too many arguments for 'version'. Expected 0 arguments but got 1: more; polynic version --help",
  ],
  [["install", "--operation", "move"], "option '--operation <what>' argument 'move' is invalid: Allowed choices are"],
  [["install", "--timeout", "soon"], "option '--timeout <seconds>' argument 'soon' is invalid: expected a number"],
  [["install", "--watch=maybe"], "option '--watch [bool]' argument 'maybe' is invalid: expected true or false"],
  [["install", "--cni-version", "1.9"], "option '--cni-version <version>' argument '1.9' is invalid: expected one of"],
  [
    ["install", "--multus-log-level", "loud"],
    "option '--multus-log-level <level>' argument 'loud' is invalid: expected",
  ],
  [["install", "--plugins", "bogus"], "--plugins: bogus is not built in; there are bridge, "],
  [["uninstall", "--wait", "long"], "option '--wait <seconds>' argument 'long' is invalid: expected a number"],
  [["check", "multi"], "check NETWORK needs the path of a network namespace too"],
  [["check", "-o", "xml"], "option '-o, --output <format>' argument 'xml' is invalid: Allowed choices are"],
  [
    ["play", "-f", "x", "--pod-cidr", "10.0.0.0"],
    "option '--pod-cidr <cidr>' argument '10.0.0.0' is invalid: expected",
  ],
  [["plan", "-f", "x", "--pod-cidr", "any"], "option '--pod-cidr <cidr>' argument 'any' is invalid: expected"],
  [["index-slices", "/nowhere/at/all"], "/nowhere/at/all is no folder: name the one that the networks'"],
  [["index-slices", import.meta.filename], `${import.meta.filename} is no folder: `],
  [["agent", "--workers", "many"], "--workers many: expected a number"],
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
