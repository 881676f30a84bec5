import { describe, expect, test } from "vitest";
import { struct, text } from "../json/struct.ts";
import { isExpired, isForbidden, type KubeError } from "./error.ts";
import { pods } from "./resource.ts";
import { type Answerer, ScriptedServer, statusAnswer } from "./scripted-server.test-data.ts";
import { watch, type WatchOptions } from "./watch.ts";

const schema = struct({ metadata: struct({ name: text() }) });
const line = (type: string, resourceVersion: string, name = "web"): string =>
  `${JSON.stringify({ type, object: { metadata: { name, resourceVersion } } })}\n`;

/** A stream of texts, with a pause before each; it stays open at the end when `isEndless`. */
function streamOf(chunks: readonly string[], isEndless = false): Response {
  return new Response(
    new ReadableStream({
      async start(controller): Promise<void> {
        for (const chunk of chunks) {
          await Bun.sleep(5);
          controller.enqueue(new TextEncoder().encode(chunk));
        }
        if (!isEndless) controller.close();
      },
    }),
  );
}

/** Watches until `count` changes have come. */
async function changes(
  server: ScriptedServer,
  count: number,
  options: Partial<WatchOptions> = {},
  token?: () => string,
): Promise<string[]> {
  const controller = new AbortController();
  const seen: string[] = [];
  const all = { resourceVersion: "1", signal: controller.signal, ...options };
  for await (const { type, object } of watch(server.client(5000, token), pods, schema, all)) {
    seen.push(`${type} ${object.metadata.name}`);
    if (seen.length === count) controller.abort();
  }
  return seen;
}

const versions = (server: ScriptedServer): (string | undefined)[] =>
  server.asked.map(({ path }) => /resourceVersion=(\w+)/.exec(path)?.[1]);

test("changes come one by one, however the bytes are cut", async () => {
  const text = line("ADDED", "2", "a") + line("MODIFIED", "3", "ü") + line("DELETED", "4", "a");
  using server = new ScriptedServer(() => streamOf([text.slice(0, 10), text.slice(10, 90), text.slice(90)], true));
  expect(await changes(server, 3)).toEqual(["ADDED a", "MODIFIED ü", "DELETED a"]);
  expect(server.asked[0]?.path).toContain("watch=true&allowWatchBookmarks=true&resourceVersion=1&timeoutSeconds=");
});

describe("goes on where it was", () => {
  const twice =
    (first: () => Response): Answerer =>
    (_request, number) =>
      number === 1 ? first() : streamOf([line("ADDED", "9", "b")], true);

  test("when the stream ends", async () => {
    using server = new ScriptedServer(twice(() => streamOf([line("ADDED", "2", "a")])));
    expect(await changes(server, 2)).toEqual(["ADDED a", "ADDED b"]);
    expect(versions(server)).toEqual(["1", "2"]);
  });
  test("as far as a bookmark says", async () => {
    using server = new ScriptedServer(twice(() => streamOf([line("ADDED", "2", "a"), line("BOOKMARK", "5")])));
    expect(await changes(server, 2)).toEqual(["ADDED a", "ADDED b"]);
    expect(versions(server)).toEqual(["1", "5"]);
  });
  test("when the server is away for a while", async () => {
    using server = new ScriptedServer(twice(() => statusAnswer(503, "ServiceUnavailable")));
    expect(await changes(server, 1)).toEqual(["ADDED b"]);
  });
  test("with a token that has taken the place of one that expired", async () => {
    const tokens = ["old", "new"];
    using server = new ScriptedServer(({ headers }) =>
      headers.get("authorization") === "Bearer new"
        ? streamOf([line("ADDED", "9", "b")], true)
        : statusAnswer(401, "Unauthorized"),
    );
    expect(await changes(server, 1, {}, () => tokens.shift() ?? "new")).toEqual(["ADDED b"]);
  });
  test("when the stream falls silent", async () => {
    using server = new ScriptedServer(twice(() => streamOf([line("ADDED", "2", "a")], true)));
    expect(await changes(server, 2, { idleTimeoutMs: 2000 })).toEqual(["ADDED a", "ADDED b"]);
    expect(versions(server)).toEqual(["1", "2"]);
  });
});

describe("ends with an error that waiting does not cure", () => {
  const failure = async (answer: Answerer): Promise<KubeError> => {
    using server = new ScriptedServer(answer);
    return await changes(server, 1).then(
      () => expect.unreachable(),
      (error: unknown) => error as KubeError,
    );
  };
  test("when the server no longer knows the place, told in the stream", async () => {
    const status = { kind: "Status", code: 410, reason: "Expired", message: "too old resource version: 1 (7)" };
    const error = await failure(() => streamOf([`${JSON.stringify({ type: "ERROR", object: status })}\n`]));
    expect(isExpired(error)).toBe(true);
    expect(error.message).toBe("watch pods of all namespaces: too old resource version: 1 (7)");
  });
  test("or at once", async () => {
    expect(isExpired(await failure(() => statusAnswer(410, "Expired")))).toBe(true);
  });
  test("when it is forbidden", async () => {
    expect(isForbidden(await failure(() => statusAnswer(403, "Forbidden", "no")))).toBe(true);
  });
  test("when a line is no JSON", async () => {
    expect((await failure(() => streamOf(["{\n"]))).message).toContain("a line that is no JSON");
  });
});

test("an abort ends it quietly", async () => {
  using server = new ScriptedServer(() => streamOf([], true));
  expect(await changes(server, 1, { signal: AbortSignal.timeout(100) })).toEqual([]);
});
