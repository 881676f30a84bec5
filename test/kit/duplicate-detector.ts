// Watches over every address that is given out in a stress test: no two sandboxes may have one at the same time.
import type { ApiPools } from "../../src/cluster/pools/api.ts";
import { planIndex } from "../../src/controller/index-plan.ts";
import { claimFactsOf } from "../../src/pool/claim.ts";

export interface Duplicate {
  readonly address: string;
  readonly sandboxes: readonly [first: string, second: string];
}

export class DuplicateDetector {
  readonly #holders = new Map<string, string>();
  readonly #held = new Map<string, string[]>();
  readonly duplicates: Duplicate[] = [];
  /** Addresses that were given out so far. */
  claims = 0;

  /** An ADD of this sandbox has ended well. */
  added(sandbox: string, addresses: readonly string[]): void {
    for (const address of addresses) {
      this.claims++;
      const other = this.#holders.get(address);
      if (other !== undefined && other !== sandbox) this.duplicates.push({ address, sandboxes: [other, sandbox] });
      this.#holders.set(address, sandbox);
    }
    this.#held.set(sandbox, [...addresses]);
  }

  /** A DEL of this sandbox is about to be called: from now on anybody may get its addresses. */
  deleting(sandbox: string): void {
    for (const address of this.#held.get(sandbox) ?? [])
      if (this.#holders.get(address) === sandbox) this.#holders.delete(address);
    this.#held.delete(sandbox);
  }

  /** Addresses that are held now, by sandbox. */
  get living(): ReadonlyMap<string, readonly string[]> {
    return this.#held;
  }
}

/** What claims and maps disagree about: "10.0.0.0-24: 2 changes, 0 conflicts"; nothing once the index has settled. */
export async function disagreements(pools: ApiPools): Promise<string[]> {
  const [all, claims] = await Promise.all([pools.listPools(), pools.listReservations()]);
  const found: string[] = [];
  const known = new Set(all.map(({ name }) => name));
  for (const claim of claims) {
    const name = claimFactsOf(claim)?.pool ?? "";
    if (name !== "" && !known.has(name)) found.push(`${name}: there is no such pool, but claim ${claim.name}`);
  }
  for (const pool of all) {
    const own = claims.filter((claim) => claimFactsOf(claim)?.pool === pool.name);
    const { changes, conflicts } = planIndex(pool, own);
    if (changes.length + conflicts.length > 0)
      found.push(`${pool.name}: ${changes.length} changes, ${conflicts.length} conflicts`);
  }
  return found;
}
