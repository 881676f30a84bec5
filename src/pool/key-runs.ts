/** Longer runs are nobody's: a pool holds some ten thousand entries at most. */
const longestRun = 1 << 20;

/** Keys as "1-2000,2005": in the order of their numbers, as they come out of a map, those of a full pool make few runs. "" for none. */
export function formatKeys(keys: readonly string[]): string {
  const runs: string[] = [];
  let first = Number.NaN;
  let last = Number.NaN;
  const end = (): void => {
    if (first === last) runs.push(`${first}`);
    else if (first < last) runs.push(`${first}-${last}`);
  };
  for (const key of keys) {
    // Whoever writes other keys, and what can't be counted exactly: by itself, as it stands.
    const number = /^\d{1,15}$/.test(key) ? Number(key) : Number.NaN;
    if (number === last + 1) last = number;
    else {
      end();
      first = last = number;
    }
    if (Number.isNaN(number) && !/[\s,-]/.test(key)) runs.push(key);
  }
  end();
  return runs.join(",");
}

/** Each once, in the order of their numbers. They have to be keys as `keyOf` gives them. */
export function sortedKeys(keys: Iterable<string>): string[] {
  return [...new Set(keys)].toSorted((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1));
}

/** The keys again. What is no run is a key of that text, which no address has. */
export function parseKeys(text: string): Set<string> {
  const keys = new Set<string>();
  if (text === "") return keys;
  for (const run of text.split(",")) {
    const [first = "", last] = run.split("-");
    if (last === undefined) keys.add(first);
    else if (Number(last) - Number(first) < longestRun)
      for (let key = Number(first); key <= Number(last); key++) keys.add(`${key}`);
  }
  return keys;
}
