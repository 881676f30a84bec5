/**
 * Those of `existing` that may have been meant by `wanted`, in their order: the same but for letter case, or at most one edit per three letters
 * away, and one at least: enough for a slip of the fingers, not enough to suggest a stranger. `wanted` itself is none.
 */
export function nearMisses(wanted: string, existing: readonly string[]): string[] {
  return existing.filter((name) => name !== wanted && isNear(name.toLowerCase(), wanted.toLowerCase()));
}

/** The first `most` names joined by commas, and how many more there are; "" for none. */
export function listNames(names: readonly string[], most: number): string {
  const more = names.length - most;
  return names.slice(0, most).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

function isNear(a: string, b: string): boolean {
  return editDistance(a, b) <= Math.max(1, Math.floor(Math.min(a.length, b.length) / 3));
}

/** Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`. */
export function editDistance(a: string, b: string): number {
  let twoBack: number[] = [];
  let back = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let best = Math.min(at(back, column) + 1, at(current, column - 1) + 1, at(back, column - 1) + (same ? 0 : 1));
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) best = Math.min(best, at(twoBack, column - 2) + 1);
      current.push(best);
    }
    twoBack = back;
    back = current;
  }
  return at(back, b.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}
