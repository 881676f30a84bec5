import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { O_RDONLY, open } from "../libc/file.ts";
import { tryLock } from "../libc/lock.ts";
import { LogFile, type LogFileOptions } from "./file.ts";
import { listBackups } from "./rotate.ts";

const root = mkdtempSync(join(tmpdir(), "polynic-rotate-"));
afterAll(() => rmSync(root, { recursive: true }));

const maxBytes = 1024;
const keepAll: LogFileOptions = { maxSizeMb: maxBytes / 2 ** 20, maxAgeDays: 0, maxBackups: 0, compress: false };
const line = (text: string) => `${text.padEnd(99, ".")}\n`;
const dayMs = 86_400_000;

function fresh(): string {
  return join(mkdtempSync(join(root, "x-")), "multus.log");
}

function logTo(
  path: string,
  options: Partial<LogFileOptions> = {},
): { readonly file: LogFile; readonly complaints: string[] } {
  const complaints: string[] = [];
  return { file: new LogFile(path, { ...keepAll, ...options }, (text) => complaints.push(text)), complaints };
}

function backupName(path: string, ageMs: number): string {
  const stamp = new Date(Date.now() - ageMs).toISOString().slice(0, -1).replaceAll(":", "-");
  return path.replace(/\.log$/, `-${stamp}.log`);
}

test("a file is rotated before the line that would make it too large, and every line stays", () => {
  const path = fresh();
  const { file, complaints } = logTo(path);
  const lines = Array.from({ length: 35 }, (_, i) => line(`line ${i}`));
  for (const each of lines) file.write(each);
  const backups = listBackups(path);
  expect(backups.map((backup) => statSync(backup.path).size)).toEqual([1000, 1000, 1000]);
  expect(statSync(path).size).toBe(500);
  for (const backup of backups) expect(backup.path).toMatch(/\/multus-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}\.log$/);
  const inOrder = [...backups].reverse().map((backup) => backup.path);
  expect([...inOrder, path].map((each) => readFileSync(each, "utf8")).join("")).toBe(lines.join(""));
  expect(complaints).toEqual([]);
});

test("a file that is too large already is rotated by the first line of a new process", () => {
  const path = fresh();
  writeFileSync(path, line("old").repeat(20));
  logTo(path).file.write(line("new"));
  expect(readFileSync(path, "utf8")).toBe(line("new"));
  expect(listBackups(path).map((backup) => statSync(backup.path).size)).toEqual([2000]);
});

test("a line larger than the limit gets a file to itself", () => {
  const path = fresh();
  const { file } = logTo(path);
  const large = `${"x".repeat(2 * maxBytes)}\n`;
  file.write(large);
  file.write(line("next"));
  expect(readFileSync(path, "utf8")).toBe(line("next"));
  expect(listBackups(path).map((backup) => readFileSync(backup.path, "utf8"))).toEqual([large]);
});

test("a rotated file keeps its permissions, and so does the one in its place", () => {
  const path = fresh();
  writeFileSync(path, "x".repeat(maxBytes));
  chmodSync(path, 0o664);
  logTo(path).file.write(line("new"));
  expect([path, ...listBackups(path).map((backup) => backup.path)].map((each) => statSync(each).mode & 0o777)).toEqual([
    0o664, 0o664,
  ]);
});

test("beyond the number of backups the oldest go, a compressed one counting like a plain one", () => {
  const path = fresh();
  const names = [1, 2, 3, 4].map((days) => backupName(path, days * dayMs));
  for (const [i, name] of names.entries()) writeFileSync(i % 2 === 0 ? name : `${name}.gz`, "");
  writeFileSync(`${names[1]}`, "half compressed");
  writeFileSync(path, "x".repeat(maxBytes));
  logTo(path, { maxBackups: 3 }).file.write(line("new"));
  const left = listBackups(path).map((backup) => backup.path);
  expect(left.length).toBe(4);
  const [first = "", second = ""] = names;
  expect(new Set(left.slice(1))).toEqual(new Set([first, second, `${second}.gz`]));
});

test("backups go by age too, and files that are not ours stay", () => {
  const path = fresh();
  const young = backupName(path, 4 * dayMs);
  const old = backupName(path, 6 * dayMs);
  const others = ["multus-notes.log", "multus-2020-01-01.log", "other-2020-01-01T00-00-00.000.log", "multus.log.1"];
  for (const name of [young, old, `${old}.gz`, ...others.map((name) => join(path, "..", name))])
    writeFileSync(name, "");
  writeFileSync(path, "x".repeat(maxBytes));
  logTo(path, { maxAgeDays: 5 }).file.write(line("new"));
  expect([existsSync(young), existsSync(old), existsSync(`${old}.gz`)]).toEqual([true, false, false]);
  expect(readdirSync(join(path, ".."))).toEqual(expect.arrayContaining(others));
});

test.each([
  ["no extension", "multus", /^multus-[\dT.-]+$/],
  ["several dots", "a.b.log", /^a\.b-[\dT.-]+\.log$/],
  ["nothing but an extension", ".log", /^-[\dT.-]+\.log$/],
])("a name with %s is rotated as lumberjack does", (_, name, want) => {
  const path = join(fresh(), "..", name);
  writeFileSync(path, "x".repeat(maxBytes));
  logTo(path).file.write(line("new"));
  const [backup] = listBackups(path);
  expect(backup?.path.replace(/.*\//, "")).toMatch(want);
});

test("a file that somebody else moved away or removed is made anew", () => {
  const path = fresh();
  const { file } = logTo(path);
  file.write(line("one"));
  renameSync(path, `${path}.1`);
  file.write(line("two"));
  rmSync(path);
  file.write(line("three"));
  expect(readFileSync(`${path}.1`, "utf8")).toBe(line("one"));
  expect(readFileSync(path, "utf8")).toBe(line("three"));
});

test("a file that can be written again later is written again, after one complaint", () => {
  const path = fresh();
  const folder = `${path}.d`;
  writeFileSync(folder, "in the way");
  const { file, complaints } = logTo(`${folder}/x.log`);
  file.write(line("lost"));
  file.write(line("lost"));
  rmSync(folder);
  file.write(line("kept"));
  expect(readFileSync(`${folder}/x.log`, "utf8")).toBe(line("kept"));
  expect(complaints).toEqual([
    `polynic: cannot write the log file ${folder}/x.log: open ${folder}/x.log: not a directory\n`,
  ]);
});

test("while another process holds the lock, lines go on into the large file", () => {
  const path = fresh();
  writeFileSync(path, "x".repeat(maxBytes));
  const { file, complaints } = logTo(path);
  {
    using holder = open(path, O_RDONLY);
    expect(tryLock(holder)).toBe(true);
    file.write(line("meanwhile"));
    expect(statSync(path).size).toBe(maxBytes + 100);
  }
  file.write(line("after"));
  expect(readFileSync(path, "utf8")).toBe(line("after"));
  expect(complaints).toEqual([]);
});

test("a symbolic link is written through and never moved", () => {
  const path = fresh();
  const target = `${path}.target`;
  writeFileSync(target, "x".repeat(maxBytes));
  symlinkSync(target, path);
  logTo(path).file.write(line("new"));
  expect(statSync(target).size).toBe(maxBytes + 100);
  expect(listBackups(path)).toEqual([]);
});

test("processes that write at the same time lose no line, mix no line and rotate each file once", async () => {
  const path = fresh();
  const processes = 4;
  const linesEach = 400;
  const code = `
    import { openLogger } from ${JSON.stringify(join(import.meta.dirname, "open.ts"))};
    const options = ${JSON.stringify({ ...keepAll, level: "debug", file: path, toStderr: false, format: "json" })};
    const name = process.argv.at(-1);
    // A new logger every few lines, as short-lived processes would open the file.
    for (let i = 0; i < ${linesEach / 4}; i++) {
      const logger = openLogger(options).with({ name });
      for (let k = 0; k < 4; k++) logger.debug("hostile\\n{\\"x\\":1}\\u2028", { number: 4 * i + k });
    }`;
  const writers = Array.from({ length: processes }, (_, i) =>
    Bun.spawn([process.execPath, "-e", code, `writer-${i}`], { stdout: "inherit", stderr: "pipe" }),
  );
  // All of them end before anything is judged: a failure must not leave one writing into a directory that is removed.
  const outcomes = await Promise.all(
    writers.map(async (writer) => ({ stderr: await new Response(writer.stderr).text(), code: await writer.exited })),
  );
  expect(outcomes).toEqual(outcomes.map(() => ({ stderr: "", code: 0 })));
  const backups = listBackups(path).map((backup) => readFileSync(backup.path, "utf8"));
  const seen = [...backups, readFileSync(path, "utf8")]
    .flatMap((text) => text.trimEnd().split("\n"))
    .map((text) => JSON.parse(text) as { readonly name: string; readonly number: number });
  const want = Array.from(
    { length: processes * linesEach },
    (_, i) => `writer-${i % processes} ${Math.floor(i / processes)}`,
  );
  expect(seen.map(({ name, number }) => `${name} ${number}`).sort()).toEqual(want.sort());
  const longestLine = 200;
  for (const backup of backups) expect(backup.length).toBeGreaterThan(maxBytes - longestLine);
});
