import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Answer, answerWith, encodeList, FakeKubelet, frame } from "./fake-kubelet.test-data.ts";
import { silentLogger } from "../../log/logger.ts";
import { readPodDevices } from "./pod-devices.ts";

const folder = mkdtempSync(join(tmpdir(), "polynic-kubelet-"));
afterAll(() => rmSync(folder, { recursive: true }));
const pod = { namespace: "default", name: "web", uid: "u" };
const listed = [{ ...pod, containers: [{ devices: [["r", ["from-socket"]]] as const }] }];
let kubelet: FakeKubelet;

beforeEach(() => {
  kubelet = new FakeKubelet(folder);
  kubelet.checkpoint([{ PodUID: "u", ResourceName: "r", DeviceIDs: { "-1": ["from-file"] } }]);
});
afterEach(() => kubelet.close());

async function read(): Promise<readonly string[] | undefined> {
  return (await readPodDevices(kubelet.path, pod, silentLogger))?.get("r");
}

describe("the devices of a pod", () => {
  test("are those of the pod-resources socket, asked once", async () => {
    await kubelet.listen(listed);
    expect(await read()).toEqual(["from-socket"]);
    expect(kubelet.calls).toBe(1);
  });

  test("are none when kubelet lists the pod without any: the file is not asked then", async () => {
    await kubelet.listen([{ ...pod, containers: [] }]);
    expect(await readPodDevices(kubelet.path, pod, silentLogger)).toEqual(new Map());
  });

  test("are not known of a pod that kubelet does not list, or that is not in the file", async () => {
    const other = { namespace: "default", name: "other", uid: "o" };
    expect(await readPodDevices(kubelet.path, other, silentLogger)).toBeUndefined();
    await kubelet.listen(listed);
    expect(await readPodDevices(kubelet.path, other, silentLogger)).toBeUndefined();
  });

  test("of a node with thousands of them arrive whole", async () => {
    const others = Array.from({ length: 3000 }, (_, index) => ({
      namespace: "x",
      name: `pod-${index}`,
      containers: [{ devices: [["r", [`device-${index}`]]] as const }],
    }));
    await kubelet.listen([...others, ...listed]);
    expect(await read()).toEqual(["from-socket"]);
  });

  test("are those of the checkpoint where there is no socket", async () => {
    expect(await read()).toEqual(["from-file"]);
  });

  test.each<[string, Answer]>([
    ["says no", answerWith(new Uint8Array(0), "8", "rejected%20by rate limit")],
    [
      "says no in the headers alone",
      (stream) => stream.respond({ ":status": 200, "grpc-status": "12" }, { endStream: true }),
    ],
    ["is no gRPC server", (stream) => stream.respond({ ":status": 404 }, { endStream: true })],
    ["sends half of its answer", answerWith(frame(encodeList(listed)).subarray(0, 20))],
    ["sends a compressed answer", answerWith(Uint8Array.from([1, 0, 0, 0, 0]))],
    ["sends what is no message", answerWith(frame(Uint8Array.from([0x0a, 0xff])))],
    ["breaks off", (stream) => stream.session?.destroy()],
  ])("are those of the checkpoint when the socket's server %s", async (_, answer) => {
    await kubelet.listen(answer);
    expect(await read()).toEqual(["from-file"]);
    expect(kubelet.calls).toBe(1);
  });

  test("are those of the checkpoint when nobody listens any more", async () => {
    mkdirSync(dirname(kubelet.socket), { recursive: true });
    writeFileSync(kubelet.socket, "");
    expect(await read()).toEqual(["from-file"]);
  });

  test("can't be known when both fail, and the error says why of each", async () => {
    await kubelet.listen(answerWith(new Uint8Array(0), "8", "rejected%20by rate limit"));
    kubelet.checkpoint("{");
    await expect(read()).rejects.toMatchObject({
      name: "ClusterError",
      code: "unavailable",
      message: expect.stringMatching(
        /^ask kubelet for the devices of pod default\/web: \S+List: gRPC status 8: rejected by rate limit; \S+kubelet_internal_checkpoint: .*line 1.*; kubelet must run/,
      ),
    });
  });

  test("can't be known on a machine without kubelet", async () => {
    await expect(readPodDevices("/nowhere", pod, silentLogger)).rejects.toThrow(
      "there is no /nowhere/pod-resources/kubelet.sock; there is no /nowhere/device-plugins/kubelet_internal_checkpoint; kubelet must run",
    );
  });
});
