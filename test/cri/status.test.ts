// STATUS as containerd 2 calls it, for each look that kubelet takes at the runtime: the answer is the node's condition NetworkReady.
import { chmodSync, rmSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { CriNode } from "../kit/cri-node.ts";
import { peerTools } from "../kit/peer-tools.ts";

/** Below the 45 s that Multus lets a runtime wait for a readiness file; kubelet's own patience is 2 minutes. */
const answerWithin = "30s";

/** A default network of somebody else's, which says of itself what the file beside it holds. */
const foreign = `#!/bin/sh
[ "$CNI_COMMAND" = STATUS ] || exit 1
if [ -e "$0.answer" ]; then cat "$0.answer"; exit 1; fi
`;

interface Condition {
  readonly type: string;
  readonly status: boolean;
  readonly message: string;
}

let node: CriNode;

const primary = (type: string): object => {
  const ipam = { type: "host-local", ranges: [[{ subnet: "10.77.0.0/16" }]] };
  return { cniVersion: "1.1.0", name: "primary", plugins: [{ type, bridge: "cni0", ipam }] };
};

beforeAll(async () => {
  node = new CriNode({ ...primary("bridge") });
  await node.start({ programs: peerTools("containerd").bin });
});
afterEach(({ task }) => {
  if (task.result?.state === "fail") process.stdout.write(`polynic: the logs of the node are in ${node.keepLogs()}\n`);
});
afterAll(async () => await node?.[Symbol.asyncDispose]());

beforeEach(() => {
  node.write("net.d/10-primary.conflist", { ...primary("bridge") });
  rmSync(node.path("bin/foreign"), { force: true });
  rmSync(node.path("bin/foreign.answer"), { force: true });
});

/** What the runtime says of the network. Fails when it takes longer than any STATUS may. */
async function networkReady(): Promise<Condition> {
  const answer = await node.runtime.crictl("--timeout", answerWithin, "info");
  const { status } = JSON.parse(answer) as { readonly status: { readonly conditions: readonly Condition[] } };
  const found = status.conditions.find(({ type }) => type === "NetworkReady");
  if (found === undefined) throw new Error(`no condition NetworkReady in ${answer}`);
  return found;
}

/** containerd sees a new config a moment after it was written. */
async function untilItSays(want: RegExp | true): Promise<void> {
  for (let left = 100; ; left--) {
    const { status, message } = await networkReady();
    if (want === true ? status : !status && want.test(message)) return;
    if (left === 0) throw new Error(`NetworkReady stays ${status}: ${message}`);
    await Bun.sleep(100);
  }
}

test("a node with its default network is ready, and pods come and go on containerd 2", async () => {
  await node.install();
  await untilItSays(true);
  node.network("lan", {
    cniVersion: "1.0.0",
    type: "bridge",
    bridge: "br-lan",
    ipam: { type: "host-local", ranges: [[{ subnet: "10.78.0.0/16" }]] },
  });
  const pod = await node.runPod("lan");
  expect(node.addresses().sort()).toEqual([expect.stringMatching(/^10\.77\./), expect.stringMatching(/^10\.78\./)]);
  await node.removePod(pod);
  expect(node.remains()).toEqual([]);
});

test("the readiness file is not there: the node says so at once, and is ready when it is", async () => {
  const file = node.path("ready");
  node.write("ready", "");
  await node.install("--readiness-indicator-file", file);
  rmSync(file);
  await untilItSays(/the default network is not ready: readinessindicatorfile @ \S+ does not exist/);
  node.write("ready", "");
  await untilItSays(true);
});

test("the default network's plugin is not there: the node says which, and is ready when it has come", async () => {
  node.write("net.d/10-primary.conflist", { ...primary("foreign") });
  await node.install();
  await untilItSays(/foreign/);
  chmodSync(node.write("bin/foreign", foreign), 0o755);
  await untilItSays(true);
});

test("the default network's own STATUS says no: its words are the node's", async () => {
  node.write("net.d/10-primary.conflist", { ...primary("foreign") });
  chmodSync(node.write("bin/foreign", foreign), 0o755);
  await node.install();
  node.write("bin/foreign.answer", { cniVersion: "1.1.0", code: 50, msg: "the agent is starting" });
  await untilItSays(/the agent is starting/);
  rmSync(node.path("bin/foreign.answer"));
  await untilItSays(true);
});

test("its config gone for a moment changes nothing: the dispatcher's own has it", async () => {
  await node.install();
  rmSync(node.path("net.d/10-primary.conflist"));
  await untilItSays(true);
});
