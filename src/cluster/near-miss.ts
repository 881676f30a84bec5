/** Names that exist, for a hint: all adapters word it alike. */
export interface NamespacedName {
  readonly namespace: string;
  readonly name: string;
}

const shownNames = 8;

/**
 * What to tell someone who asked for a network that is not there: the same name in another namespace, names that look alike, or all
 * names of the namespace. `existing` may hold every network of the cluster or only those of the wanted namespace.
 */
export function networkHint(wanted: NamespacedName, existing: readonly NamespacedName[]): string {
  const elsewhere = existing.filter(({ namespace, name }) => name === wanted.name && namespace !== wanted.namespace);
  const here = existing.filter(({ namespace }) => namespace === wanted.namespace).map(({ name }) => name);
  const alike = here.filter((name) => isNear(name, wanted.name));
  const hints: string[] = [];
  if (elsewhere.length > 0)
    hints.push(
      `it exists in namespace ${list(elsewhere.map(({ namespace }) => namespace))}: name it as ${elsewhere[0]?.namespace}/${wanted.name}`,
    );
  if (alike.length > 0) hints.push(`did you mean ${list(alike)}?`);
  hints.push(
    here.length === 0
      ? `namespace ${wanted.namespace} has no networks`
      : `namespace ${wanted.namespace} has ${list(here)}`,
  );
  return hints.join("; ");
}

function list(names: readonly string[]): string {
  const sorted = [...new Set(names)].sort();
  const more = sorted.length - shownNames;
  return sorted.slice(0, shownNames).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** One edit per three letters, at least one: enough for a slip of the fingers, not enough to suggest a stranger. */
function isNear(a: string, b: string): boolean {
  return a !== b && editDistance(a, b) <= Math.max(1, Math.floor(Math.min(a.length, b.length) / 3));
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
