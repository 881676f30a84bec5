// An agent in a container: the node's / lies somewhere below its own, and calls are done as if it were there.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestAgent } from "../kit/agent.ts";
import { type CniCall, mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { CopiedSystem, Occupant } from "../kit/copied-system.ts";
import { useLan, useTemporaryFolder } from "../kit/hooks.ts";
import type { PinnedNetns } from "../kit/node-netns.ts";
import { searchPath } from "../kit/packages.ts";
import { snapshot } from "../kit/snapshot.ts";

const lan = useLan();
const folder = useTemporaryFolder();
/** A user namespace without processes of its own may not mount proc. */
const maySeeProcesses = /^\s*0\s+0\s/.test(readFileSync("/proc/self/uid_map", "utf8"));

let system: CopiedSystem | undefined;
const root = (...names: readonly string[]): string => join(folder().path, "node", ...names);

/** What the manifest gives the container, and no more. */
const confined = (): string[] => ["setpriv", `--bounding-set=-all,${manifestCapabilities().join(",")}`, "--"];

function manifestCapabilities(): string[] {
  const path = join(import.meta.dirname, "..", "..", "deploy", "components", "agent", "container.yaml");
  const patches = Bun.YAML.parse(readFileSync(path, "utf8")) as { readonly value: unknown }[];
  const containers = patches.map(({ value }) => value as Partial<Container>);
  const added = containers.flatMap(({ securityContext }) => securityContext?.capabilities.add ?? []);
  expect(added).not.toEqual([]);
  return added.map((name) => `+${name.toLowerCase()}`);
}

interface Container {
  readonly securityContext: { readonly capabilities: { readonly add: readonly string[] } };
}

beforeAll(() => {
  system = new CopiedSystem(join(folder().path, "node"), ["bridge", "host-local", "macvlan"], maySeeProcesses);
});

afterAll(() => system?.[Symbol.dispose]());

/** A pod and a process in it. */
class OccupiedPod implements AsyncDisposable {
  private constructor(
    readonly pod: PinnedNetns,
    readonly occupant: Occupant,
  ) {}

  static async make(): Promise<OccupiedPod> {
    const pod = lan().node().pod();
    return new OccupiedPod(pod, await Occupant.enter(pod.path));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.occupant[Symbol.asyncDispose]();
    this.pod[Symbol.dispose]();
  }
}

/** As that node's runtime calls it, its / being the root folder. */
function callIn(type: string, pod: OccupiedPod): CniCall {
  const ipam = { type: "host-local", subnet: "192.0.2.0/24", dataDir: "/leases" };
  const own =
    type === "bridge"
      ? { bridge: "br0", isGateway: true, ipMasq: true, ipMasqBackend: "nftables" }
      : { master: "eth0" };
  return {
    executable: `/opt/cni/bin/${type}`,
    wrapper: ["chroot", root()],
    config: { cniVersion: "1.1.0", name: `root-${type}`, type, ...own, ipam },
    containerId: pod.pod.name,
    ifName: "net1",
    netns: pod.occupant.netns,
    node: lan().node(),
  };
}

test.runIf(maySeeProcesses).each(["macvlan", "bridge"])(
  "%s in a root folder of the node's is done by an agent that sees it elsewhere and has the manifest's capabilities",
  async (type) => {
    await using agent = await TestAgent.start({
      node: lan().node(),
      folder: folder().path,
      root: root(),
      wrapper: confined(),
    });
    expect(existsSync(root(agent.socket))).toBe(true);
    await using pod = await OccupiedPod.make();
    const before = snapshot(pod.pod.path);
    const call = agent.through(callIn(type, pod));
    const { result } = await mustCallCni({ ...call, command: "ADD" });
    expect(result).toMatchObject({ ips: [{ address: expect.stringMatching(/^192\.0\.2\./) as string }] });
    // In that root, and nowhere else.
    expect(readdirSync(root("leases", `root-${type}`)).filter((name) => name.startsWith("192."))).toHaveLength(1);
    expect(existsSync("/leases")).toBe(false);
    await mustCallCni({ ...call, command: "CHECK", config: { ...(call.config as object), prevResult: result } });
    await mustCallCni({ ...call, command: "DEL", config: { ...(call.config as object), prevResult: result } });
    expect(snapshot(pod.pod.path)).toEqual(before);
    await expect.poll(() => agent.calls(), { timeout: 60_000 }).toBe(3);
  },
);

test.runIf(maySeeProcesses)("a caller with another root is declined and does its call itself", async () => {
  await using agent = await TestAgent.start({ node: lan().node(), folder: folder().path, root: root() });
  await using pod = await OccupiedPod.make();
  const inside = agent.through(callIn("macvlan", pod));
  const dataDir = join(folder().path, "leases");
  const config = { ...(inside.config as object), ipam: { type: "host-local", subnet: "192.0.2.0/24", dataDir } };
  const outside: CniCall = {
    ...inside,
    config,
    executable: join(polynicBin, "macvlan"),
    wrapper: [],
    env: { POLYNIC_AGENT: `${root(agent.socket)},30000` },
  };
  await mustCallCni({ ...outside, command: "ADD" });
  await mustCallCni({ ...outside, command: "DEL" });
  expect(agent.calls()).toBe(0);
  await mustCallCni({ ...inside, command: "STATUS" });
  await expect.poll(() => agent.calls(), { timeout: 60_000 }).toBe(1);
});

test("an agent refuses a root folder where its process ids are not known", () => {
  const command = [join(polynicBin, "polynic"), "agent", "--root", folder().path, "--log-level", "debug"];
  const done = Bun.spawnSync(command, { env: { PATH: searchPath }, stderr: "pipe" });
  expect(done.exitCode).not.toBe(0);
  expect(done.stderr.toString()).toContain(`${folder().path}/proc/self is not this process: --root has to be`);
  expect(readdirSync(folder().path)).not.toContain("run");
});
