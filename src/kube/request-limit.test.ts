import { describe, expect, test } from "vitest";
import { anyObject } from "../json/struct.ts";
import { KubeError } from "./error.ts";
import { afterLastWords, RequestLimit } from "./request-limit.ts";
import { pods, type Target } from "./resource.ts";
import { ScriptedServer, statusAnswer } from "./scripted-server.test-data.ts";

const target: Target = { verb: "get", resource: pods, namespace: "default", name: "web" };
/** Longer than a test may take. */
const foreverMs = 600_000;

/** What becomes of a request when all is to end once the server has been asked so often. */
async function ended(answer: () => Response | Promise<Response>, afterRequests: number) {
  const end = new AbortController();
  using server = new ScriptedServer((_, number) => {
    if (number === afterRequests) end.abort();
    return answer();
  });
  if (afterRequests === 0) end.abort();
  const client = server.client(foreverMs, undefined, { end: end.signal });
  const outcome = await client.request(target, anyObject()).catch((error: unknown) => error);
  return { outcome, asked: server.asked.length };
}

describe("the end of a program ends", () => {
  const silent = () => new Promise<Response>(() => {});
  const cases: readonly [string, () => Response | Promise<Response>, number][] = [
    ["a request that is on its way", silent, 1],
    ["the wait that the server has asked for", () => statusAnswer(503, "", "", { retryAfterSeconds: 300 }), 1],
    ["a request that is made after it, unheard", silent, 0],
  ];
  for (const [what, answer, requests] of cases)
    test(what, async () => {
      const { outcome, asked } = await ended(answer, requests);
      expect(outcome).toBeInstanceOf(KubeError);
      expect(asked).toBe(requests);
    });
});

test("what is said in time is heard", async () => {
  using server = new ScriptedServer(() => Response.json({ ok: true }));
  const client = server.client(foreverMs, undefined, { end: new AbortController().signal });
  expect(await client.request(target, anyObject())).toEqual({ ok: true });
});

test("a limit is over with its time, and takes no notice of an end that comes after it", async () => {
  const end = new AbortController();
  const over = new RequestLimit(1, end.signal);
  await new Promise((resolve) => over.signal.addEventListener("abort", resolve));
  const left = new RequestLimit(foreverMs, end.signal);
  left[Symbol.dispose]();
  end.abort();
  expect(left.signal.aborted).toBe(false);
  expect(new RequestLimit(foreverMs, end.signal).signal.aborted).toBe(true);
});

test("the end comes some time after the program was told, so that a Lease can be given back", async () => {
  const told = new AbortController();
  const end = afterLastWords(told.signal);
  told.abort();
  expect(end.aborted).toBe(false);
  await new Promise((resolve) => end.addEventListener("abort", resolve));
  expect(afterLastWords(new AbortController().signal).aborted).toBe(false);
});
