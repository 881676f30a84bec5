// Ten thousand calls that are a little wrong: each is answered by one CNI error object or by success, and none leaves anything behind.
import * as fc from "fast-check";
import { mkdirSync, readdirSync, readlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Runtime } from "../../src/cni/plugin.ts";
import { type Edges, serve } from "../../src/cni/serve.ts";
import { silentLogger } from "../../src/log/logger.ts";
import { plugin } from "../../src/multus/plugin.ts";
import { Netns } from "../../src/netns/netns.ts";
import { builtin, builtinNames } from "../../src/plugins/table.ts";
import { listLinks } from "../../src/rtnl/link.ts";
import { callCni, polynicBin } from "../kit/cni-caller.ts";
import { fenceIn } from "../kit/fence.ts";
import { useDisposable } from "../kit/hooks.ts";
import { argsOf, MultusSite, type SitePod, useSite } from "../kit/multus-site.ts";
import { type FuzzCase, fuzzCases, writePlugins } from "./multus-fuzz-cases.ts";

const seed = 20_261_121;
const inProcessRuns = 9500;
const executedRuns = 500;
/** Executables at a time, each on a node of its own. */
const width = 4;
const answerTimeoutMs = 20_000;
const fuzzTimeoutMs = 1_200_000;

// Paths are among what is changed. What a lane has as folders of its own goes with it, and /proc and /dev hold no files that could stay.
beforeAll(() => fenceIn(tmpdir(), "/run", "/var/lib", "/var/log", "/proc", "/dev"));

const site = useSite();

interface Answer {
  readonly exitCode: number | undefined;
  readonly stdout: string;
}

/** The call's environment as a runtime would make it, with the case's own over it. */
function environmentOf(
  here: MultusSite,
  pod: SitePod,
  { command, environment }: FuzzCase,
): Record<string, string | undefined> {
  return {
    CNI_COMMAND: command,
    CNI_CONTAINERID: pod.containerId,
    CNI_NETNS: pod.netns.path,
    CNI_IFNAME: "eth0",
    CNI_ARGS: argsOf(pod),
    CNI_PATH: here.path("bin"),
    ...environment,
  };
}

/** Puts the case's pod and networks in place: one file, so that a case costs one write. */
function arrange(here: MultusSite, pod: SitePod, { networks, defaultNetwork, definitions }: FuzzCase): void {
  const { namespace, name, uid } = pod;
  const annotations = {
    "k8s.v1.cni.cncf.io/networks": networks,
    ...(defaultNetwork === undefined ? {} : { "v1.multus-cni.io/default-network": defaultNetwork }),
  };
  const items = [
    { apiVersion: "v1", kind: "Pod", metadata: { namespace, name, uid, annotations } },
    ...Object.entries(definitions).map(([network, config]) => ({
      apiVersion: "k8s.cni.cncf.io/v1",
      kind: "NetworkAttachmentDefinition",
      metadata: { namespace: "default", name: network },
      spec: { config },
    })),
  ];
  here.folder.write(`manifests/pod-${namespace}-${name}.json`, { kind: "List", apiVersion: "v1", items });
}

function commandOf({ command, environment }: FuzzCase): string | undefined {
  return "CNI_COMMAND" in environment ? environment["CNI_COMMAND"] : command;
}

/** The DEL of the same attachment, with all that is wrong about it. */
function undoOf(each: FuzzCase): FuzzCase {
  return { ...each, environment: { ...each.environment, CNI_COMMAND: "DEL" } };
}

/** What is wrong with an answer; undefined when it is as the specification has it. */
function complaint({ exitCode, stdout }: Answer, each: FuzzCase): string | undefined {
  if (exitCode === 0) {
    if (stdout === "") return commandOf(each) === "ADD" ? "success without a result" : undefined;
    return typeof (JSON.parse(stdout) as { cniVersion?: unknown }).cniVersion === "string"
      ? undefined
      : `no result: ${stdout}`;
  }
  if (exitCode !== 1) return `ended with ${exitCode}`;
  const { code, msg } = JSON.parse(stdout) as { code?: unknown; msg?: unknown };
  if (typeof code !== "number" || !(code > 0)) return `no code: ${stdout}`;
  return typeof msg === "string" && msg !== "" && !msg.includes("\n") ? undefined : `no message of one line: ${stdout}`;
}

/** Links beside those that are always there; bridges stay by design. */
function strayLinks(...namespaces: readonly Netns[]): string[] {
  return namespaces.flatMap(({ rtnl }) =>
    listLinks(rtnl).flatMap(({ name, kind }) => (name === "lo" || name === "eth0" || kind === "bridge" ? [] : [name])),
  );
}

/** Open files of this process, without those in which the runtime keeps what it has sent to children. */
function descriptors(): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return !readlinkSync(`/proc/self/fd/${fd}`).includes("spawn_stdio");
    } catch {
      return false;
    }
  }).length;
}

/** A call that has nothing wrong with it. */
function rightCall(here: MultusSite, command: string): FuzzCase {
  const stdin = JSON.stringify(here.conf({ logToStderr: false }));
  return { command, stdin, environment: {}, networks: "", defaultNetwork: undefined, definitions: {} };
}

/** Everything that a case could leave, wherever its config put it. */
function remains(here: MultusSite, ...namespaces: readonly Netns[]): string[] {
  return [...strayLinks(...namespaces), ...["cni", "leases", "none", "long"].flatMap((folder) => here.files(folder))];
}

test("nothing can be written outside the lane's own folders", () => {
  expect(() => mkdirSync(join(dirname(import.meta.dirname), "stray"))).toThrow("EROFS");
  expect(() => mkdirSync("/stray")).toThrow("EROFS");
});

describe("in this process", () => {
  const open = useDisposable(() => new DisposableStack());

  test(
    `${inProcessRuns} calls`,
    async () => {
      const here = site();
      writePlugins(here);
      const pod = here.pod();
      const host = open().use(Netns.open(here.node.path));
      const sandbox = open().use(Netns.open(pod.netns.path));
      const environment = { PATH: process.env["PATH"] };
      const runtime: Runtime = {
        builtin,
        builtinNames,
        execPlugins: new Set(),
        host,
        log: silentLogger,
        delegateTimeoutMs: 5000,
        environment,
      };
      const call = async (each: FuzzCase): Promise<Answer> => {
        let stdout = "";
        const edges: Edges = {
          environment: environmentOf(here, pod, each),
          readStdin: async () => each.stdin,
          writeStdout: async (text) => (stdout += text),
          writeStderr: async () => undefined,
        };
        const late = Promise.withResolvers<never>();
        const timer = setTimeout(() => late.reject(new Error("no answer in time")), answerTimeoutMs);
        try {
          return { exitCode: await Promise.race([serve(plugin, "test", edges, () => runtime), late.promise]), stdout };
        } finally {
          clearTimeout(timer);
        }
      };
      const right = rightCall(here, "DEL");
      const kinds = { ok: 0, failed: 0 };
      let first = 0;
      await fc.assert(
        fc.asyncProperty(fuzzCases(here, pod), async (each) => {
          arrange(here, pod, each);
          const answer = await call(each);
          expect(complaint(answer, each)).toBeUndefined();
          kinds[answer.exitCode === 0 ? "ok" : "failed"] += 1;
          if (answer.exitCode === 0 && commandOf(each) === "ADD")
            expect(complaint(await call(undoOf(each)), undoOf(each))).toBeUndefined();
          expect(await call(right)).toEqual({ exitCode: 0, stdout: "" });
          expect(remains(here, host, sandbox)).toEqual([]);
          first ||= descriptors();
        }),
        { seed, numRuns: inProcessRuns, endOnFailure: true },
      );
      // Both must be common, or the cases prove little.
      expect(Math.min(kinds.ok, kinds.failed)).toBeGreaterThan(inProcessRuns / 10);
      const afterCollection = (): number => (Bun.gc(true), descriptors());
      await expect.poll(afterCollection, { timeout: 60_000 }).toBeLessThanOrEqual(first + 5);
    },
    fuzzTimeoutMs,
  );
});

test(
  `the executable, ${executedRuns} calls`,
  async () => {
    using stack = new DisposableStack();
    const work = async (number: number): Promise<void> => {
      const here = stack.use(new MultusSite());
      writePlugins(here);
      const pod = here.pod();
      const host = stack.use(Netns.open(here.node.path));
      const sandbox = stack.use(Netns.open(pod.netns.path));
      const call = (each: FuzzCase) =>
        callCni({
          executable: `${polynicBin}/multus`,
          config: each.stdin,
          env: environmentOf(here, pod, each),
          node: here.node,
          deadlineMs: answerTimeoutMs,
        });
      for (const each of fc.sample(fuzzCases(here, pod), { seed: seed + number, numRuns: executedRuns / width })) {
        arrange(here, pod, each);
        const answer = await call(each);
        expect([each, complaint(answer, each)]).toEqual([each, undefined]);
        if (answer.exitCode === 0 && commandOf(each) === "ADD")
          expect([each, complaint(await call(undoOf(each)), undoOf(each))]).toEqual([each, undefined]);
        expect([each, await call(rightCall(here, "DEL"))]).toMatchObject([each, { exitCode: 0, stdout: "" }]);
        expect([each, remains(here, host, sandbox)]).toEqual([each, []]);
      }
    };
    await Promise.all(Array.from({ length: width }, (_, number) => work(number)));
  },
  fuzzTimeoutMs,
);
