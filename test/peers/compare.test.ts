// The harness itself, on the Go side only: two runs of the same plugin must not differ, and a difference must show.
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { diff } from "../kit/diff.ts";
import { peerTools } from "../kit/peer-tools.ts";
import { temporaryFolder } from "../kit/tmp.ts";
import { type Case, compareCase, runPeer } from "./compare.ts";

const bridge: Case = {
  name: "bridge",
  plugin: "bridge",
  config: ({ folder }) => ({
    cniVersion: "1.1.0",
    name: "pods",
    type: "bridge",
    bridge: "cni0",
    isDefaultGateway: true,
    ipMasq: true,
    ipam: {
      type: "host-local",
      dataDir: folder,
      ranges: [[{ subnet: "192.0.2.0/24" }], [{ subnet: "2001:db8::/64" }]],
    },
  }),
};

test("two runs of one plugin do not differ", async () => {
  expect((await compareCase(bridge, [], peerTools().bin)).differences).toEqual([]);
});

test("an expected difference that does not occur is reported", async () => {
  const expected = [{ line: /mtu/, reason: "on purpose" }];
  const alone: Case = { ...bridge, steps: [{ command: "ADD" }], expected };
  expect((await compareCase(alone, [], peerTools().bin)).stale).toEqual(expected);
});

test("an executable that does nothing differs in everything but what is expected", async () => {
  using folder = temporaryFolder();
  symlinkSync("/bin/true", join(folder.path, "bridge"));
  const alone: Case = {
    ...bridge,
    steps: [{ command: "ADD" }],
    expected: [{ line: / state \/ pod0 \//, reason: "on purpose" }],
  };
  const { differences, stale } = await compareCase(alone, [], folder.path);
  expect(stale).toEqual([]);
  expect(differences.filter((line) => line.includes("pod0 /"))).toEqual([]);
  expect(differences).toContainEqual(expect.stringMatching(/^1 ADD answer \/ result: peer has .*, ours has ""$/));
  expect(differences).toContainEqual(
    expect.stringMatching(/^1 ADD state \/ node \/ links \/ cni0: peer has .*, ours has nothing$/),
  );
});

test("the trace shows what a call made and what it left", async () => {
  const trace = await runPeer(bridge);
  expect(trace.steps[0]?.result).toMatchObject({
    interfaces: [{ name: "cni0" }, { name: "veth#1" }, { name: "net1", sandbox: "/pod0" }],
  });
  expect(trace.steps[0]?.state["pod0"]).toMatchObject({ addresses: { "net1 192.0.2.2/24": {} } });
  expect(trace.steps[0]?.state["files"]).toMatchObject({ "pods/192.0.2.2": '600 "ctr0\\r\\nnet1"' });
  expect(trace.leftovers.join("\n")).toMatch(/^node \/ links \/ cni0: before has nothing/m);
});

test("a setting that differs shows as the path to it", async () => {
  const config = (mtu: number) => ({ cniVersion: "1.1.0", name: "pods", type: "bridge", bridge: "cni0", mtu });
  const large: Case = { ...bridge, config: config(1400), steps: [{ command: "ADD" }] };
  const small: Case = { ...large, config: config(1300) };
  expect(diff(await runPeer(large), await runPeer(small), ["large", "small"])).toContain(
    "steps / 0 / state / pod0 / links / net1 / mtu: large has 1400, small has 1300",
  );
});

test("a case that expects the wrong thing of the Go plugin is refused", async () => {
  const wrong: Case = { ...bridge, steps: [{ command: "ADD", code: 7 }] };
  await expect(runPeer(wrong)).rejects.toThrow("step 1, ADD: expected code 7 of the Go plugin, got");
});
