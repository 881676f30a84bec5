// A node full of pods: all of them made at once, containerd ended in between, the node started again, polynic replaced and taken off.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { installConf, installExecutable } from "../../src/install/install.ts";
import { callCni, polynicBin } from "../kit/cni-caller.ts";
import { type CriNode, type CriPod, primaryPlugins } from "../kit/cri-node.ts";
import { installOptions } from "./install-options.ts";
import { useCriNode } from "./use-node.ts";

/** As many as kubelet lets a node have. */
const fullNode = 110;
const someMinutesMs = 900_000;
/** Long enough for containerd to look at each of them. */
const configPauseMs = 50;
const kernelTimeoutMs = 60_000;
const node = useCriNode();

beforeAll(async () => {
  await node().install();
  const ipam = { type: "host-local", ranges: [[{ subnet: "10.78.0.0/16" }]] };
  node().network("lan", { cniVersion: "1.0.0", type: "bridge", bridge: "br-lan", ipam });
});

const many = (here: CriNode, count: number): Promise<CriPod[]> =>
  Promise.all(Array.from({ length: count }, () => here.runPod("lan")));

const removeAll = (here: CriNode, pods: readonly CriPod[]): Promise<unknown> =>
  Promise.all(pods.map((pod) => here.removePod(pod)));

test(
  "110 pods made at once all have two networks of their own, and deleted at once they leave nothing",
  async () => {
    const here = node();
    const pods = await many(here, fullNode);
    expect(new Set(here.addresses()).size).toBe(2 * fullNode);
    await removeAll(here, pods);
    expect(here.remains()).toEqual([]);
  },
  someMinutesMs,
);

test.each(["SIGTERM", "SIGKILL"] as const)(
  "containerd ended by %s while pods come and go: it finds its pods again, and none of them keeps anything",
  async (signal) => {
    const here = node();
    const [staying, leaving] = [await many(here, 5), await many(here, 5)];
    // What is under way may fail: kubelet would try again, and so does the removal below.
    const underWay = Promise.allSettled([
      ...Array.from({ length: 5 }, () => here.runPod("lan")),
      ...leaving.map((pod) => here.removePod(pod)),
    ]);
    await here.runtime.stop(signal);
    await underWay;
    await here.untilPluginsEnd();
    await here.runtime.start();
    for (const pod of staying) expect(await here.state(pod)).toBe("SANDBOX_READY");
    await here.removeEverything();
    expect(await here.sandboxes()).toEqual([]);
    // A sandbox that containerd had not written down yet is nobody's: that is what GC is for.
    await collect(here);
    // The kernel takes links away some time after the namespace that their other end was in.
    await expect.poll(() => here.remains(), { timeout: kernelTimeoutMs }).toEqual([]);
  },
  someMinutesMs,
);

test(
  "after a power cut DEL and GC find by the journal what nobody else knows any more",
  async () => {
    const here = node();
    const pods = await many(here, 10);
    await here.reboot();
    const leases = here.remains();
    expect(leases.filter((line) => /\/networks\/\w+\/10\./.test(line))).toHaveLength(2 * pods.length);
    expect(leases.filter((line) => line.startsWith("netns"))).toEqual([]);
    // Half of them kubelet still knows of and deletes, the other half was deleted while the node was off.
    await removeAll(here, pods.slice(0, 5));
    await collect(here);
    expect(here.remains()).toEqual([]);
    await here.removeEverything();
  },
  someMinutesMs,
);

test(
  "the executable is replaced 50 times while pods start: none of them fails",
  async () => {
    const here = node();
    const replacing = (async () => {
      for (let version = 0; version < 50; version++)
        await installExecutable(installOptions(here, { version: `test-${version}`, replaces: true }));
    })();
    const pods = await many(here, 40);
    await replacing;
    await removeAll(here, pods);
    expect(here.remains()).toEqual([]);
    expect(readdirSync(here.path("bin")).sort()).toEqual(
      [...primaryPlugins, "multus", "polynic-test-48", "polynic-test-49"].sort(),
    );
  },
  someMinutesMs,
);

test(
  "the config is written anew 50 times while pods start: containerd never finds less than a whole one, and refuses none",
  async () => {
    const here = node();
    const writing = (async () => {
      for (let round = 0; round < 50; round++) {
        const plain = installOptions(here, {});
        const logLevel = ["verbose", "debug"][round % 2] ?? "";
        expect(await installConf({ ...plain, conf: { ...plain.conf, logLevel } })).toEqual([]);
        await Bun.sleep(configPauseMs);
      }
    })();
    const pods = await many(here, 40);
    await writing;
    // It looks at the folder at every change, and says what it could not load.
    expect(readFileSync(here.runtime.log, "utf8")).not.toContain("failed to reload cni configuration");
    await removeAll(here, pods);
    expect(here.remains()).toEqual([]);
  },
  someMinutesMs,
);

test(
  "taken off while pods come and go, it leaves none of them stuck, and nothing of its own",
  async () => {
    const here = node();
    const before = await many(here, 10);
    const uninstalling = here.polynic("uninstall", "--wait", "600");
    const during = Promise.all(Array.from({ length: 10 }, () => here.runPod("lan")));
    await removeAll(here, before);
    const late = await during;
    await removeAll(here, late);
    expect(await uninstalling).toContain("removed the link multus");
    expect(readdirSync(here.path("net.d"))).toEqual(["10-primary.conflist"]);
    expect(readdirSync(here.path("bin")).sort()).toEqual(primaryPlugins);
    expect(existsSync(here.path("cni"))).toBe(false);
    expect(here.remains()).toEqual([]);
  },
  someMinutesMs,
);

/** GC as containerd 2 calls it when it starts: no container is valid that it does not know. */
async function collect(here: CriNode): Promise<void> {
  const { plugins, ...list } = here.dispatcherConf();
  const outcome = await callCni({
    executable: `${polynicBin}/multus`,
    command: "GC",
    path: here.path("bin"),
    config: { ...plugins[0], ...list, cniVersion: "1.1.0", "cni.dev/valid-attachments": [] },
  });
  expect(outcome).toMatchObject({ exitCode: 0 });
}
