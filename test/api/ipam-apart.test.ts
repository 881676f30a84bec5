// A rolling migration where overlaps are not checked: Go looks at the pool alone, and entries of ours go some time after their claims.
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { polynicBin } from "../kit/cni-caller.ts";
import { disagreements, DuplicateDetector } from "../kit/duplicate-detector.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { addressesOf, inParallel, IpamSide } from "../kit/ipam-side.ts";
import { connectPools, eventually, IpamWorld } from "../kit/ipam-world.ts";
import { random } from "../kit/random.ts";

const folder = useTemporaryFolder();
/** Few addresses, so that each is had by many pods after one another; one more than there are sandboxes at once. */
const range = "10.52.0.0/28";
const mostLiving = 12;
const over = { enable_overlapping_ranges: false };
const steps = 160;
const width = 8;
const seed = 11;

let world: IpamWorld;
let sides: readonly IpamSide[];
let controller: Bun.Subprocess;

beforeAll(async () => {
  world = await IpamWorld.make(inject("api"));
  sides = [
    await IpamSide.make("go", world, `${folder().path}/go`),
    await IpamSide.make("ours", world, `${folder().path}/ours`),
  ];
  const kubeconfig = folder().write("controller.kubeconfig", await world.kubeconfig("polynic-ipam"));
  const args = ["controller", "ipam", "--gc-schedule", "@hourly", "--kubeconfig", kubeconfig];
  controller = Bun.spawn([`${polynicBin}/polynic`, ...args], {
    stdio: ["ignore", "ignore", Bun.file(`${folder().path}/controller.log`)],
    env: { WHEREABOUTS_NAMESPACE: world.namespace },
  });
});
afterAll(async () => {
  controller.kill("SIGKILL");
  await controller.exited;
});

interface Sandbox {
  readonly name: string;
  readonly side: IpamSide;
  readonly node: string;
}

test(
  `in ${steps} steps at random of Go nodes and ours no address of an unchecked pool is given out twice, and nothing is left`,
  { timeout: 600_000 },
  async () => {
    const detector = new DuplicateDetector();
    const chance = random(seed);
    const living: Sandbox[] = [];
    const ended: Sandbox[] = [];
    const failures: string[] = [];
    let count = 0;
    let going = 0;

    const add = async (): Promise<void> => {
      const side = sides[chance(2)]!;
      const fresh = { name: `a${count++}`, side, node: `${side.name}-${chance(2)}` };
      // Now and then a container that has been there before, on its node.
      const [again] = chance(3) === 0 && ended.length > 0 ? ended.splice(chance(ended.length), 1) : [];
      const sandbox = again ?? fresh;
      const outcome = await sandbox.side.call("ADD", { range, over, node: sandbox.node, sandbox: sandbox.name });
      const addresses = addressesOf(outcome);
      if (addresses.length === 0) failures.push(`${sandbox.side.name}: ${outcome.stdout}`);
      detector.added(`${sandbox.side.name} ${sandbox.name}`, addresses);
      living.push(sandbox);
    };
    const del = async (sandbox: Sandbox): Promise<void> => {
      detector.deleting(`${sandbox.side.name} ${sandbox.name}`);
      await sandbox.side.call("DEL", { range, over, node: sandbox.node, sandbox: sandbox.name });
      ended.push(sandbox);
    };

    await inParallel(
      Array.from({ length: steps }, (_, step) => step),
      width,
      async () => {
        const isFull = living.length + going >= mostLiving;
        const [sandbox] = isFull || chance(2) === 0 ? living.splice(chance(Math.max(1, living.length)), 1) : [];
        if (sandbox === undefined && isFull) return;
        going += 1;
        await (sandbox === undefined ? add() : del(sandbox));
        going -= 1;
        expect(detector.duplicates).toEqual([]);
      },
    );
    expect(failures.filter((each) => each.startsWith("ours"))).toEqual([]);
    const { pools } = await connectPools(inject("api"), "polynic-ipam", world.namespace);
    expect(await eventually(() => disagreements(pools), [])).toEqual([]);
    expect(detector.claims).toBeGreaterThan(steps / 4);

    await inParallel([...living], width, del);
    expect(await eventually(() => world.held(), [])).toEqual([]);
    const left = async () => (await pools.listPools()).flatMap(({ allocations }) => Object.keys(allocations));
    expect(await eventually(left, [])).toEqual([]);
  },
);
