import { listNames, nearMisses } from "../words/near-miss.ts";

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
  const alike = nearMisses(wanted.name, here);
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
  return listNames([...new Set(names)].sort(), shownNames);
}
