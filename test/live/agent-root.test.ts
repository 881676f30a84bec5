// An agent in a container: the node's / lies somewhere below its own, and calls are done as if it were there.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestAgent } from "../kit/agent.ts";
import { type CniCall, mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { inNetns, runCommand } from "../kit/command.ts";
import { useLan, useTemporaryFolder } from "../kit/hooks.ts";
import { searchPath } from "../kit/packages.ts";
import { snapshot } from "../kit/snapshot.ts";

const lan = useLan();
const folder = useTemporaryFolder();
const plugins = ["bridge", "host-local", "macvlan"];
/** A user namespace without processes of its own may not mount proc. */
const maySeeProcesses = /^\s*0\s+0\s/.test(readFileSync("/proc/self/uid_map", "utf8"));

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

/** A node's system as small as can be, all of it copies: the executable, and what it is linked to. */
function makeRoot(): void {
  const executable = join(polynicBin, "polynic");
  const libraries = runCommand(["ldd", executable]).match(/\/\S+(?= \(0x)/g) ?? [];
  for (const path of libraries) {
    mkdirSync(root(dirname(path)), { recursive: true });
    cpSync(path, root(path), { dereference: true });
  }
  mkdirSync(root("opt/cni/bin"), { recursive: true });
  cpSync(executable, root("opt/cni/bin/polynic"), { dereference: true });
  for (const name of plugins) symlinkSync("polynic", root("opt/cni/bin", name));
  mkdirSync(root("proc"));
}

beforeAll(() => {
  makeRoot();
  if (maySeeProcesses) runCommand(["mount", "-t", "proc", "proc", root("proc")]);
});

afterAll(() => {
  if (maySeeProcesses) runCommand(["umount", root("proc")]);
});

/** A pod whose namespace is known by a process in it: that path is the same in every root with a proc. */
class PodOfProcess implements AsyncDisposable {
  readonly pod = lan().node().pod();
  readonly #process = Bun.spawn(inNetns(this.pod.path, ["sleep", "infinity"]), {
    stdio: ["ignore", "ignore", "ignore"],
  });
  readonly netns = `/proc/${this.#process.pid}/ns/net`;

  async isThere(): Promise<this> {
    const own = identity("/proc/self/ns/net");
    await expect.poll(() => identity(this.netns), { timeout: 60_000 }).not.toBe(own);
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
    this.pod[Symbol.dispose]();
  }
}

function identity(path: string): string {
  return runCommand(["readlink", path]);
}

/** As that node's runtime calls it, its / being the root folder. */
function callIn(type: string, pod: PodOfProcess): CniCall {
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
    netns: pod.netns,
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
    await using pod = await new PodOfProcess().isThere();
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
  await using pod = await new PodOfProcess().isThere();
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
