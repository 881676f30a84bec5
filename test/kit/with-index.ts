import { Indexer } from "../../src/controller/indexer.ts";
import { silentLogger } from "../../src/log/logger.ts";
import { connectPools, type IpamWorld } from "./ipam-world.ts";

/** Runs `work` while the index of a world's pools is kept, with the controller's rights. */
export async function withIndex(world: IpamWorld, work: () => Promise<void>): Promise<void> {
  const { namespace } = world;
  const { client, pools } = await connectPools(world.api, "polynic-ipam", namespace);
  const stop = new AbortController();
  const end = new Indexer(client, { namespace, pools, signal: stop.signal, log: silentLogger }).run();
  try {
    await work();
  } finally {
    stop.abort();
    await end;
  }
}
