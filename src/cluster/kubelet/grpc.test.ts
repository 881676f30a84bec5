import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { answerWith, FakeKubelet, frame } from "./fake-kubelet.test-data.ts";
import { callUnary } from "./grpc.ts";

const folder = mkdtempSync(join(tmpdir(), "polynic-kubelet-"));
afterAll(() => rmSync(folder, { recursive: true }));
let kubelet: FakeKubelet;
beforeEach(() => {
  kubelet = new FakeKubelet(folder);
});
afterEach(() => kubelet.close());

function call(over: { timeoutMs?: number; answerBytesMax?: number; method?: string } = {}): Promise<Uint8Array> {
  const method = "/v1.PodResourcesLister/List";
  return callUnary({
    socket: kubelet.socket,
    method,
    request: new Uint8Array(0),
    timeoutMs: 10_000,
    answerBytesMax: 64,
    ...over,
  });
}

test("an answer is its message without the frame, an empty one too", async () => {
  await kubelet.listen(answerWith(frame(Uint8Array.from([1, 2, 3]))));
  expect(await call()).toEqual(Uint8Array.from([1, 2, 3]));
  await kubelet.listen([]);
  expect(await call()).toEqual(new Uint8Array(0));
});

test("a server that never answers is given up", async () => {
  await kubelet.listen(() => {});
  await expect(call({ timeoutMs: 20 })).rejects.toThrow(`no answer from ${kubelet.socket} within 0.02 s`);
});

test("an answer that is too large is refused before it has all arrived", async () => {
  await kubelet.listen((stream) => {
    stream.respond({ ":status": 200 });
    stream.write(new Uint8Array(100));
  });
  await expect(call()).rejects.toThrow("more than 64 bytes of answer");
});

test("a method that the server lacks is said with the server's words", async () => {
  await kubelet.listen([]);
  await expect(call({ method: "/v1.Other/Get" })).rejects.toThrow("/v1.Other/Get: gRPC status 12: unknown method");
});

test("words that are not encoded as they should be are kept", async () => {
  await kubelet.listen(answerWith(new Uint8Array(0), "2", "100% wrong"));
  await expect(call()).rejects.toThrow("gRPC status 2: 100% wrong");
});
