// How far a pool's map is behind the claims, by its size.
import { Indexer } from "../src/controller/indexer.ts";
import { ipPools } from "../src/kube/resource.ts";
import { watch } from "../src/kube/watch.ts";
import { silentLogger } from "../src/log/logger.ts";
import { ipPoolOf, ipPoolSchema } from "../src/pool/objects.ts";
import type { ApiServerFacts } from "../test/kit/api-server.ts";
import { connectPools, IpamWorld } from "../test/kit/ipam-world.ts";

/** Time from the answer to a claim until its entry was seen. */
export interface LagFigures {
  readonly entries: number;
  readonly lagMs: readonly number[];
}

const claims = 100;
const pauseMs = 50;
const settleTimeoutMs = 60_000;

/** Claims twenty a second in a pool that Go nodes have filled with so many entries, managed fields and all, while an index is kept. */
export async function measureLag(api: ApiServerFacts, entries: number): Promise<LagFigures> {
  const world = await IpamWorld.make(api);
  const { namespace } = world;
  const range = "10.20.0.0/16";
  const allocations = Object.fromEntries(
    Array.from({ length: entries }, (_, index) => {
      return [String(index + 1), { id: `go-${index}`, podref: `default/go-${index}`, ifname: "net1" }];
    }),
  );
  const made = await world.admin.create({
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "IPPool",
    metadata: { namespace, name: "10.20.0.0-16" },
    spec: { range, allocations },
  });
  const { client, pools } = await connectPools(api, "polynic-ipam", namespace);
  const stop = new AbortController();
  const indexer = new Indexer(client, { namespace, pools, signal: stop.signal, log: silentLogger }).run();
  const claimedAt = new Map<string, number>();
  const lagMs: number[] = [];
  const looking = (async () => {
    const from = { namespace, resourceVersion: String(made.metadata["resourceVersion"]), signal: stop.signal };
    for await (const { object } of watch(client, ipPools, ipPoolSchema, from)) {
      const pool = ipPoolOf(object);
      for (const [key, at] of claimedAt) {
        if (!Object.hasOwn(pool.allocations, key)) continue;
        claimedAt.delete(key);
        lagMs.push(performance.now() - at);
      }
    }
  })();
  for (let count = 0; count < claims; count++) {
    const key = 10_000 + count;
    const address = `10.20.${key >> 8}.${key & 255}`;
    await world.claim({ range, address, podref: `default/web-${key}` });
    claimedAt.set(String(key), performance.now());
    await Bun.sleep(pauseMs);
  }
  const deadline = performance.now() + settleTimeoutMs;
  while (claimedAt.size > 0 && performance.now() < deadline) await Bun.sleep(pauseMs);
  stop.abort();
  await Promise.allSettled([indexer, looking]);
  if (claimedAt.size > 0) throw new Error(`${claimedAt.size} claims were not shown in ${settleTimeoutMs / 1000} s`);
  return { entries, lagMs };
}
