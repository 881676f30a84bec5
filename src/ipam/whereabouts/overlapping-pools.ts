import type { Age, Pools } from "../../cluster/pools/port.ts";
import { overlaps } from "../../ip/prefix.ts";
import { prefixOfPoolName, rangeOfPoolName } from "../../pool/names.ts";
import type { IpPool } from "../../pool/objects.ts";
import type { RangePlan } from "./range-plan.ts";

/**
 * The other pools of the range's network that share addresses with it, in no order. They are told by their names, which cost a server little: of
 * pools that have nothing to do with the range it need not send thousands of entries.
 */
export async function overlappingPools(pools: Pools, { pool, network }: RangePlan, age: Age): Promise<IpPool[]> {
  const before = prefixOfPoolName(pool, network);
  if (before === undefined) return [];
  const found: IpPool[] = [];
  for (const name of await pools.poolNames(age)) {
    const range = name === pool ? undefined : rangeOfPoolName(name, before);
    if (range === undefined || !overlaps(network, range)) continue;
    const other = await pools.getPool(name, age);
    if (other !== undefined) found.push(other);
  }
  return found;
}
