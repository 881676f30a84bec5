// The same pods attached by Go Multus and by polynic, on the same API server and kernel; then each deletes what the other has attached.
import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { ApiProxy } from "../kit/api-proxy.ts";
import { ApiSite } from "../kit/api-site.ts";
import { type CniOutcome, polynicBin } from "../kit/cni-caller.ts";
import { diff } from "../kit/diff.ts";
import type { Json, SiteCall, SitePod } from "../kit/multus-site.ts";
import { normalise } from "../kit/normalise.ts";
import { peerTools } from "../kit/peer-tools.ts";
import { type Snapshot, snapshot } from "../kit/snapshot.ts";
import { type PeerRow, rows } from "./peer-rows.ts";

const goBin = peerTools().bin;

/** What one of them made of a pod. */
interface Trace {
  readonly exitCode: number | undefined;
  readonly result: unknown;
  readonly status: readonly Json[] | undefined;
  readonly events: readonly string[];
  /** The pod's namespace as the kernel has it. */
  readonly kernel: unknown;
}

class Side {
  constructor(
    readonly site: ApiSite,
    /** Of the Go executables; undefined for ours. */
    readonly bin: string | undefined,
  ) {}

  /** A pod as the row has it, not attached yet. */
  async pod({ networks, annotations, definitions = [] }: PeerRow): Promise<SitePod> {
    for (const { name, config } of definitions) {
      // One row's definition must not be another's of the same name.
      await this.site.admin.delete(this.site.networkObject(name, ""));
      await this.site.network(name, config(this.site));
    }
    return await this.site.pod(networks ?? "", annotations?.(this.site));
  }

  over({ conf }: PeerRow): SiteCall {
    const over = { conf: { binDir: goBin, ...conf?.(this.site) } };
    return this.bin === undefined ? over : { ...over, bin: this.bin };
  }

  /** Whatever a row that failed has left must not be the next one's. */
  clear(pod: SitePod): void {
    pod.netns[Symbol.dispose]();
    for (const folder of ["cni", "leases", "net.d"])
      rmSync(this.site.local.path(folder), { recursive: true, force: true });
  }

  async trace(pod: SitePod, outcome: CniOutcome): Promise<Trace> {
    const { sysctls: _, ...kernel } = snapshot(pod.netns.path, { withFilters: false });
    const trace = {
      exitCode: outcome.exitCode,
      result: outcome.exitCode === 0 ? outcome.result : undefined,
      status: await this.site.status(pod),
      events: await this.site.events(pod),
      kernel,
    };
    const { namespace, name, uid, netns } = pod;
    const names = {
      [namespace]: "NS",
      [name]: "POD",
      [uid]: "UID",
      [netns.path]: "NETNS",
      [this.site.local.folder.path]: "SITE",
    };
    return normalise(trace, { names });
  }
}

let theirs: Side;
let ours: Side;

beforeAll(async () => {
  theirs = new Side(await ApiSite.make(inject("api")), goBin);
  ours = new Side(await ApiSite.make(inject("api")), undefined);
  // Multus can do without less than its own manifest grants.
  for (const { site } of [theirs, ours]) await site.useAccount("multus");
});
afterAll(() => {
  for (const { site } of [theirs, ours]) site[Symbol.dispose]();
});

/** What differs on purpose whatever the row; docs/differences.md has the reasons. */
const always: readonly RegExp[] = [
  // Told from version 1.1.0 on; the status has it from the result, as with Multus.
  /^(result|status) .*\/ mtu: Multus has nothing, /,
  // Of a default route without a gateway of its own Multus prints Go's nil.
  /^status \/ 0 \/ gateway: Multus has "<nil>"|^status \/ 0 \/ gateway: .*polynic has "10\.1\.0\.1"/,
  // IPv6 addresses can be used at once.
  /^kernel \/ addresses .* \/ (nodad|tentative): |^kernel \/ routes \/ ipv6 local local .*: Multus has nothing, /,
];

/** How often a row is tried again. */
const impatienceMax = 5;

/** One row on one side: a pod as it was before, and what became of it. */
interface Run {
  readonly side: Side;
  readonly pod: SitePod;
  readonly before: Readonly<Record<string, Snapshot>>;
  readonly trace: Trace;
}

async function run(side: Side, row: PeerRow): Promise<Run> {
  for (let left = impatienceMax; ; left--) {
    const pod = await side.pod(row);
    const before = side.site.local.kernel(pod);
    const outcome = await side.site.call("ADD", pod, side.over(row));
    if (side === ours || left === 0 || !isImpatient(outcome))
      return { side, pod, before, trace: await side.trace(pod, outcome) };
    side.clear(pod);
  }
}

/** Multus waits 250 ms for the API server's word on the pod, which a busy machine takes once in a while; a runtime would call again. */
function isImpatient({ stdout }: CniOutcome): boolean {
  return /error waiting for pod: .*deadline exceeded/.test(stdout);
}

describe("a pod gets the same from both, and each deletes what the other has attached", () => {
  test.each(rows.map((row) => [row.name, row] as const))("%s", async (_, row) => {
    const runs = [await run(theirs, row), await run(ours, row)] as const;
    try {
      expect(runs[0].trace.exitCode).toBe(row.fails === true ? 1 : 0);
      const lines = differences(runs[0].trace, runs[1].trace);
      const allowed = [...always, ...(row.differs ?? []).map(([line]) => line)];
      expect(lines.filter((line) => !allowed.some((pattern) => pattern.test(line)))).toEqual([]);
      // Theirs may be lost, so the comparison can't tell of one too many of ours.
      if (row.fails !== true) expectOneEventEach(runs[1].trace);
      // What was written down as a difference has to be one still.
      for (const [line] of row.differs ?? []) expect(lines).toContainEqual(expect.stringMatching(line));
      for (const { side, pod, before } of runs) {
        const other = side === ours ? theirs : ours;
        const { bin } = other.over(row);
        const over = { ...side.over(row), ...(bin === undefined ? { bin: polynicBin } : { bin }) };
        expect(await side.site.call("DEL", pod, over)).toMatchObject({ exitCode: 0 });
        expect(remains(side, before, pod)).toEqual([]);
      }
    } finally {
      for (const { side, pod } of runs) side.clear(pod);
    }
  });
});

test("300 ms of latency for each request: Multus gives up, polynic does not", async () => {
  using proxy = await ApiProxy.open(inject("api"));
  proxy.plan(() => ({ kind: "pass", delayMs: 300 }));
  for (const side of [theirs, ours]) {
    const pod = await side.site.pod();
    await side.site.useAccount("multus", proxy.url);
    const outcome = await side.site.call("ADD", pod, side.over({ name: "" }));
    expect(outcome.exitCode).toBe(side === ours ? 0 : 1);
    expect(await side.site.call("DEL", pod, side.over({ name: "" }))).toMatchObject({ exitCode: 0 });
    await side.site.useAccount("multus");
    side.clear(pod);
  }
});

/** An event for each interface, and no other; net1 of version 0.2.0 has no name in the status. */
function expectOneEventEach({ status, events }: Trace): void {
  const told = events.map((event) => /^Normal AddedInterface Add (\S+) \[/.exec(event)?.[1] ?? event);
  const named = (status ?? []).flatMap(({ interface: name }) => (typeof name === "string" ? [name] : []));
  expect(told.filter((name) => !named.includes(name) && name !== "net1")).toEqual([]);
  expect(new Set(told).size).toBe(events.length);
}

/** A bridge, and that the node forwards for it, stay when its pods go, whoever made it; results of a failed ADD of Multus' do too. */
function remains({ site, bin }: Side, before: Run["before"], pod: SitePod): string[] {
  return site.local
    .remains(before, pod)
    .filter((line) => !/^node \/ .*(br-local|br-cluster|ip_forward|ipv4\.forwarding|ipv4\.accept_redirects)/.test(line))
    .filter((line) => bin === undefined || !line.startsWith("cni/results/"));
}

/**
 * Events of a success may be fewer on their side: Multus ends without waiting until they are delivered. Of a failure they tell interfaces
 * that are taken back again, and we tell every cause; who wants to compare causes compares messages.
 */
function differences(peer: Trace, own: Trace): string[] {
  if (peer.exitCode !== 0) return diff({ ...peer, events: [] }, { ...own, events: [] }, ["Multus", "polynic"]);
  const lost = own.events.filter((event) => !peer.events.includes(event));
  return diff({ ...peer, events: [...peer.events, ...lost].sort() }, own, ["Multus", "polynic"]);
}
