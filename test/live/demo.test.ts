import { join } from "node:path";
import { expect, test } from "vitest";
import { searchPath } from "../kit/packages.ts";

const program = [process.execPath, join(import.meta.dirname, "..", "demo.ts")];
/** Of nobody, by convention. */
const ordinaryUser = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

async function run(
  command: readonly string[],
): Promise<{ exitCode: number | null; complaint: string; output: string }> {
  const child = Bun.spawn([...command], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PATH: searchPath },
  });
  const [output, complaint] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { exitCode: child.exitCode, complaint, output };
}

async function endsWell(command: readonly string[]): Promise<void> {
  const outcome = await run(command);
  expect(outcome).toMatchObject({ exitCode: 0, complaint: "" });
  const { output } = outcome;
  expect(output).toMatch(/^ {2}sbr {5}from 10\.63\.0\.2\/32 lookup 100$/m);
  expect(output).toMatch(/^ {2}tuning {2}net\/core\/somaxconn = 8192$/m);
  expect(output.match(/ 192\.168\.50\.1:808[02] +shop {2}/g)).toHaveLength(6);
  expect(output.match(/^node-1 +127\.0\.0\.1:808[02] +shop /gm)).toHaveLength(2);
  expect(output).toContain("All well after");
  expect(output.match(/: none$/gm)).toHaveLength(8);
}

test("the demo runs the examples on two nodes and ends well", async () => {
  await endsWell(program);
});

test("the demo does so for an ordinary user too, in a user namespace", async ({ skip }) => {
  const probe = await run([
    ...ordinaryUser,
    "unshare",
    "--user",
    "--map-root-user",
    "--net",
    ...program.slice(0, 1),
    "-v",
  ]);
  if (probe.exitCode !== 0) {
    const why = "an ordinary user has no user namespace here, or can't read this checkout";
    // As with lanes: what CI leaves out it would not miss either.
    if (process.env["CI"] === "true") throw new Error(`${why}: ${probe.complaint}`);
    skip(why);
  }
  await endsWell([...ordinaryUser, ...program]);
});
