// What docs/agent.md and docs/operations.md say of the agent is what the code and the manifest have.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { processTerminal } from "../../cmd/terminal.ts";
import { command } from "../../cmd/verbs/agent.ts";
import { agentSocket, requestBytesMax } from "../../src/agent/protocol.ts";

const read = (...path: readonly string[]): string =>
  readFileSync(join(import.meta.dirname, "..", "..", ...path), "utf8");
const page = read("docs", "agent.md");
const operations = read("docs", "operations.md");

/** The number that a source gives this name. */
function constant(name: string, ...path: readonly string[]): number {
  const text = new RegExp(`const ${name} = ([\\d_]+);`).exec(read(...path))?.[1];
  if (text === undefined) throw new Error(`${path.join("/")} has no ${name}`);
  return Number(text.replaceAll("_", ""));
}

test("every option is listed, and no other", () => {
  const listed = [...page.matchAll(/^\| `(--[a-z-]+)` \|/gm)].map((match) => match[1]);
  const { options } = command(processTerminal(), () => undefined);
  expect(listed).toEqual(options.filter(({ hidden }) => !hidden).map(({ long }) => long));
});

test("its numbers are those of the code", () => {
  const [fewest, most] = ["fewestWorkers", "mostWorkers"].map((name) => constant(name, "cmd", "verbs", "agent.ts"));
  expect(page).toContain(`from ${fewest} to ${most} `);
  expect(page).toContain(`${constant("callLimit", "cmd", "agent-worker.ts").toLocaleString("en")} calls`);
  expect(page).toContain(`for ${constant("idleLimitMs", "src", "kube", "session.ts") / 1000} seconds`);
  expect(page).toContain(`longer than ${requestBytesMax / 1024} KiB`);
  const waitMs = constant("readyTimeoutMs", "cmd", "agent-call.ts");
  const rounds = constant("roundsWhileBusy", "cmd", "agent-call.ts");
  const busyMs = waitMs * (2 ** (rounds + 1) - 1);
  expect(page).toContain(
    `\`${agentSocket}\`; a worker is waited for ${waitMs} ms, and up to ${Math.round(busyMs / 100) / 10} s`,
  );
  expect(page).toContain(`Where ${constant("waitingMost", "src", "agent", "agent.ts")} wait already`);
  expect(read("docs", "configuration.md")).toContain(`it is waited for (${waitMs})`);
});

test("the words of a lost call are those that it says", () => {
  const said = /"(the polynic agent's worker ended in the middle of this call)/.exec(read("cmd", "agent-lost.ts"))?.[1];
  expect(page).toContain(`\`${said}\``);
});

test("the capabilities of the page are those of the manifest", () => {
  const added = /add: \[([A-Z_, ]+)\]/.exec(read("deploy", "components", "agent", "container.yaml"))?.[1]?.split(", ");
  const listed = /it has the capabilities ([A-Z_, ]+) and ([A-Z_]+),/.exec(operations.replaceAll("\n", " "));
  expect([...(listed?.[1]?.split(", ") ?? []), listed?.[2]]).toEqual(added);
});
