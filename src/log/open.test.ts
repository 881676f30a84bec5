import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { O_CREAT, O_WRONLY, open } from "../libc/file.ts";
import { defaultLogOptions, leaveLogs, type LogOptions, openLogger, parseLogLevel } from "./open.ts";

const folder = mkdtempSync(join(tmpdir(), "polynic-log-"));
afterAll(() => rmSync(folder, { recursive: true }));

const base: LogOptions = { ...defaultLogOptions, level: "debug", toStderr: false };

/** Runs `body` on a logger in a process of its own; what it wrote to stderr and its exit code. */
function run(options: Partial<LogOptions>, body: string): { readonly stderr: string; readonly code: number } {
  const code = `
    import { openLogger } from ${JSON.stringify(join(import.meta.dirname, "open.ts"))};
    const logger = openLogger(${JSON.stringify({ ...base, ...options })});
    ${body}`;
  const done = Bun.spawnSync([process.execPath, "-e", code]);
  return { stderr: done.stderr.toString(), code: done.exitCode };
}

test("the file and its directory come with the first line that passes the level", () => {
  const file = join(folder, "deep/er/multus.log");
  const logger = openLogger({ ...base, level: "error", file });
  logger.debug("no");
  logger.verbose("no");
  expect(existsSync(join(folder, "deep"))).toBe(false);
  logger.with({ pod: "default/a" }).error("yes", { code: 7 });
  expect(readFileSync(file, "utf8")).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \[error\] yes pod=default\/a code=7\n$/);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("lines are appended to what is there, in JSON when asked for", () => {
  const file = join(folder, "append.log");
  writeFileSync(file, "older\n");
  openLogger({ ...base, file }).debug("text");
  openLogger({ ...base, file, format: "json" }).panic("json", { a: 1 });
  const lines = readFileSync(file, "utf8").split("\n");
  expect(lines[0]).toBe("older");
  expect(lines[1]).toMatch(/ \[debug\] text$/);
  expect(JSON.parse(lines[2] ?? "")).toMatchObject({ level: "panic", msg: "json", a: 1 });
  expect(lines.slice(3)).toEqual([""]);
});

test("stderr gets the same lines when it is on, and nothing when it is off", () => {
  const file = join(folder, "both.log");
  const both = run({ file, toStderr: true }, 'logger.error("one\\ntwo"); logger.debug("three");');
  expect(both.stderr).toBe(readFileSync(file, "utf8"));
  expect(both.stderr.split("\n").length).toBe(3);
  expect(run({ file: "", toStderr: true }, 'logger.error("x")').stderr).toMatch(/ \[error\] x\n$/);
  expect(run({ file, toStderr: false }, 'logger.error("x")').stderr).toBe("");
  expect(run({ file: "", toStderr: false }, 'logger.error("x")').stderr).toBe("");
});

test("what a logger is told that was left stands in its file, which it leaves closed, and on the stream that it was left", () => {
  const file = join(folder, "left.log");
  const other = join(folder, "stream");
  using stream = open(other, O_WRONLY | O_CREAT);
  const logger = openLogger({ ...base, file, toStderr: true });
  leaveLogs(stream);
  logger.error("late");
  logger.error("later");
  expect(readFileSync(other, "utf8")).toMatch(/ late\n.* later\n$/);
  expect(readFileSync(file, "utf8")).toBe(readFileSync(other, "utf8"));
  expect(openFiles()).not.toContain(file);
});

function openFiles(): string[] {
  return readdirSync("/proc/self/fd").map((number) => {
    try {
      return readlinkSync(`/proc/self/fd/${number}`);
    } catch {
      // The one that the folder was read by.
      return "";
    }
  });
}

const taken = join(folder, "taken");
mkdirSync(taken);
writeFileSync(join(folder, "plain"), "");
const pipe = join(folder, "pipe");
Bun.spawnSync(["mkfifo", pipe]);

test.each([
  ["is a directory", taken, `open ${taken}: is a directory`],
  ["has a file for a directory", join(folder, "plain/x.log"), `open ${folder}/plain/x.log: not a directory`],
  ["is a pipe that nobody reads", pipe, `open ${pipe}: no such device or address`],
  ["is on a full device", "/dev/full", "write /dev/full: no space left on device"],
  ["has a line break in it", `${taken}/\n/a\u0000`, '"/'],
])("a log file that %s costs one line on stderr and nothing else", (_, file, reason) => {
  const { stderr, code } = run({ file }, 'for (let i = 0; i < 3; i++) logger.error("x");');
  expect(stderr).toMatch(/^polynic: cannot write the log file [^\n]*\n$/);
  expect(stderr).toContain(reason);
  expect(code).toBe(0);
});

test("a stderr that nobody reads any more harms nobody", async () => {
  const file = join(folder, "closed.log");
  const code = `
    import { openLogger } from ${JSON.stringify(join(import.meta.dirname, "open.ts"))};
    const logger = openLogger(${JSON.stringify({ ...base, file, toStderr: true })});
    logger.error("x");`;
  const done = Bun.spawn(["sh", "-c", 'exec "$0" -e "$1" 2>&-', process.execPath, code]);
  expect(await done.exited).toBe(0);
  expect(readFileSync(file, "utf8")).toMatch(/ \[error\] x\n$/);
});

test.each([
  ["debug", "debug"],
  ["Verbose", "verbose"],
  ["ERROR", "error"],
  ["panic", "panic"],
  ["warning", undefined],
  ["", undefined],
  ["toString", undefined],
])("the level %j is %j", (text, want) => {
  expect(parseLogLevel(text)).toBe(want);
});
