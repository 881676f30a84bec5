import type { Suspect } from "./verdict.ts";

/** Two scans that far apart have to agree. */
export const confirmAfterMs = 60_000;
/** A schedule of once a minute is not exact. */
const toleranceMs = 1000;

interface Sighting {
  readonly version: string;
  readonly firstMs: number;
}

/** Remembers suspects from scan to scan: only what is found again, unchanged, after a while is to be removed. */
export class Scans {
  #sightings: ReadonlyMap<string, Sighting> = new Map();

  constructor(readonly afterMs = confirmAfterMs) {}

  /** Of this scan's suspects those that an earlier scan has found too, at least `afterMs` ago. What is no suspect any more is forgotten. */
  confirm(suspects: readonly Suspect[], nowMs: number): Suspect[] {
    const sightings = new Map<string, Sighting>();
    const confirmed: Suspect[] = [];
    for (const suspect of suspects) {
      const { id, version } = suspect.holding;
      const before = this.#sightings.get(id);
      const firstMs = before?.version === version ? before.firstMs : nowMs;
      sightings.set(id, { version, firstMs });
      const isOld = firstMs !== nowMs && nowMs - firstMs >= this.afterMs - toleranceMs;
      if (suspect.isCertain || isOld || (this.afterMs === 0 && before?.version === version)) confirmed.push(suspect);
    }
    this.#sightings = sightings;
    return confirmed;
  }
}
