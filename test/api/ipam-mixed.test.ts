// A rolling migration: nodes of Go whereabouts and ours give out addresses of the same pools, and Go's reconciler runs all the time.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ApiServer, startApiServer } from "../kit/api-server.ts";
import { claimsGroup, trailOf } from "../kit/claim-trail.ts";
import { prepareCluster } from "../kit/cluster.ts";
import { polynicBin } from "../kit/cni-caller.ts";
import { disagreements, type Duplicate, DuplicateDetector } from "../kit/duplicate-detector.ts";
import { startGoReconciler } from "../kit/go-reconciler.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { addressesOf, inParallel, IpamSide } from "../kit/ipam-side.ts";
import { connectPools, eventually, IpamWorld } from "../kit/ipam-world.ts";
import { random } from "../kit/random.ts";

const folder = useTemporaryFolder();
/** Two pools that have most of their addresses in common, and more of them than there will be pods: who gets the last one is not asked here. */
const ranges = ["10.50.0.0/25", "10.50.0.0/26"] as const;
const steps = 120;
const width = 8;
const seed = 7;

let server: ApiServer;
let world: IpamWorld;
let sides: readonly IpamSide[];
let children: Bun.Subprocess[];

// A server of its own: Go's reconciler deletes in all namespaces what it does not know.
beforeAll(async () => {
  server = await startApiServer(`${folder().path}/server`, { auditedGroups: [claimsGroup] });
  await prepareCluster(server);
  world = await IpamWorld.make(server);
  sides = [
    await IpamSide.make("go", world, `${folder().path}/go`),
    await IpamSide.make("ours", world, `${folder().path}/ours`),
  ];
  const kubeconfig = folder().write("controller.kubeconfig", await world.kubeconfig("polynic-ipam"));
  const args = [
    "controller",
    "ipam",
    "--gc-schedule",
    "@every 2s",
    "--gc-confirm-after",
    "4",
    "--kubeconfig",
    kubeconfig,
  ];
  const controller = Bun.spawn([`${polynicBin}/polynic`, ...args], {
    stdio: ["ignore", "ignore", Bun.file(`${folder().path}/controller.log`)],
    env: { WHEREABOUTS_NAMESPACE: world.namespace },
  });
  children = [controller, await startGoReconciler(server, world.namespace, `${folder().path}/reconciler`, "@every 3s")];
});
afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(children.map((child) => child.exited));
  await server.stop();
});

interface Sandbox {
  readonly name: string;
  readonly podUid: string;
  readonly side: IpamSide;
  readonly range: string;
  readonly node: string;
}

/**
 * What the audit log says of an address that was given out twice. It is Go's own doing if Go's reconciler, or another pod's DEL, has deleted the
 * reservation under which the living pod held it: nothing of ours may ever remove one. docs/whereabouts.md has the steps.
 */
function verdictOn({ address, sandboxes }: Duplicate): string {
  const pods = sandboxes.map((each) => `default/${each.split(" ")[1]}`);
  const [first, second] = trailOf(server, address).filter(({ podref }) => pods.includes(podref));
  if (first?.removal === undefined || second === undefined)
    return `${sandboxes.join(" and ")} both have ${address}, and nobody has removed a reservation`;
  const { by, at } = first.removal;
  const who = by.startsWith("whereabouts ") ? "Go" : "not Go";
  return `${who}: ${by} deleted the reservation of ${first.podref} on ${address} at ${at}, then ${second.podref} got it`;
}

test(
  `in ${steps} steps at random no address is given out twice but where Go removed a living pod's reservation`,
  { timeout: 600_000 },
  async () => {
    const detector = new DuplicateDetector();
    const chance = random(seed);
    const living: Sandbox[] = [];
    const failures: string[] = [];
    let count = 0;
    const ofGo = new Set<string>();
    const judge = async (): Promise<void> => {
      for (const duplicate of detector.duplicates.splice(0)) {
        // The line about a deletion is written when its answer is, which may be a moment after the next creation.
        await eventually(async () => verdictOn(duplicate).startsWith("Go: "), true);
        const verdict = verdictOn(duplicate);
        expect(verdict).toMatch(/^Go: /);
        ofGo.add(verdict);
      }
    };

    const add = async (): Promise<void> => {
      const name = `m${count++}`;
      const side = sides[chance(2)]!;
      // Two nodes of each kind.
      const node = `${side.name}-${chance(2)}`;
      const sandbox = {
        name,
        podUid: await world.pod(name, { phase: "Pending", node }),
        side,
        range: ranges[chance(2)]!,
        node,
      };
      const outcome = await side.call("ADD", { ...sandbox, sandbox: name });
      const addresses = addressesOf(outcome);
      if (addresses.length === 0) failures.push(`${side.name}: ${outcome.stdout}`);
      detector.added(`${side.name} ${name}`, addresses);
      // As Multus does, and what Go's reconciler believes.
      const status = JSON.stringify([{ name: "default/lan", interface: "net1", ips: addresses, default: false }]);
      const metadata = { annotations: { "k8s.v1.cni.cncf.io/network-status": status } };
      await world.admin.send("PATCH", `/api/v1/namespaces/default/pods/${name}`, { metadata });
      living.push(sandbox);
    };
    const del = async (sandbox: Sandbox): Promise<void> => {
      detector.deleting(`${sandbox.side.name} ${sandbox.name}`);
      // As kubelet does: the pod is marked first, and goes when its sandbox is gone.
      const path = `/api/v1/namespaces/default/pods/${sandbox.name}`;
      await world.admin.send("DELETE", path, { gracePeriodSeconds: 30 });
      await sandbox.side.call("DEL", { ...sandbox, sandbox: sandbox.name });
      await world.deletePod(sandbox.name);
    };

    await inParallel(
      Array.from({ length: steps }, (_, step) => step),
      width,
      async () => {
        const [sandbox] = chance(5) < 2 && living.length > 4 ? living.splice(chance(living.length), 1) : [];
        await (sandbox === undefined ? add() : del(sandbox));
        await judge();
      },
    );
    // Go gives up an ADD whose reservation somebody else has made at the same moment; ours never has to.
    expect(failures.filter((each) => each.startsWith("ours"))).toEqual([]);
    const { pools } = await connectPools(server, "polynic-ipam", world.namespace);
    expect(await eventually(() => disagreements(pools), [])).toEqual([]);
    expect(readFileSync(`${folder().path}/reconciler/reconciler.log`, "utf8")).toContain("starting reconciler run");

    await inParallel([...living], width, del);
    expect(await eventually(() => world.held(), [])).toEqual([]);
    const left = async () => (await pools.listPools()).flatMap(({ allocations }) => Object.keys(allocations));
    expect(await eventually(left, [])).toEqual([]);
    const sums = `${detector.claims} claims by Go and ours together, ${ofGo.size} duplicates by Go's fault, ${failures.length} ADDs of Go failed`;
    process.stdout.write(`${["polynic: " + sums, ...ofGo].join("\n  ")}\n`);
  },
);
