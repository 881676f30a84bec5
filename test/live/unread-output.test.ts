// What `| head` does: nobody reads standard output any more.
import { closeSync, constants, openSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { polynicBin } from "../kit/cni-caller.ts";
import { runCommand } from "../kit/command.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { searchPath } from "../kit/packages.ts";

const executable = join(polynicBin, "..", "polynic");
/** 128 + SIGPIPE, as shells tell it. */
const exitUnread = 141;

const folder = useTemporaryFolder();

/** The writing end of a pipe whose reader is gone. */
function unreadPipe(name: string): number {
  const path = join(folder().path, name);
  runCommand(["mkfifo", path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY);
  closeSync(reader);
  return writer;
}

test.for<[string, readonly string[]]>([
  ["the demo", [process.execPath, join(import.meta.dirname, "..", "demo.ts")]],
  ["help", [executable, "help"]],
  ["a verb", [executable, "version"]],
])("%s ends at once and says nothing", async ([name, command]) => {
  const stdout = unreadPipe(name.replace(" ", "-"));
  const child = Bun.spawn([...command], {
    stdio: ["ignore", stdout, "pipe"],
    env: { ...process.env, PATH: searchPath },
  });
  const [complaint] = await Promise.all([child.stderr.text(), child.exited]);
  closeSync(stdout);
  expect({ exitCode: child.exitCode, complaint }).toEqual({ exitCode: exitUnread, complaint: "" });
});
