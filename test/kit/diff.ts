// Differences of plain values as lines for people: the path, then what each side has.

/** What an absent property or line is shown as. */
const nothing = "nothing";

/**
 * One line per difference, `path: a has X, b has Y` with the given names for the sides; empty when both are equal. Lists are
 * compared by position, lists of lines (rules) as the lines that only one side has, plus one line when only their order differs.
 */
export function diff(a: unknown, b: unknown, sides: readonly [string, string] = ["a", "b"]): string[] {
  const lines: string[] = [];
  compare("", a, b, sides, lines);
  return lines;
}

/**
 * What `after` has and `before` had not, or had with another value: objects left behind and settings not put back. Things that are
 * gone are not listed; see `diff` for both directions.
 */
export function leftovers(before: unknown, after: unknown): string[] {
  return diff(before, after, ["before", "after"]).filter((line) => !line.endsWith(`, after has ${nothing}`));
}

function compare(path: string, a: unknown, b: unknown, sides: readonly [string, string], lines: string[]): void {
  if (isLines(a) && isLines(b)) compareLines(path, a, b, sides, lines);
  else if (isObject(a) && isObject(b)) {
    for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
      compare(path === "" ? name : `${path} / ${name}`, a[name], b[name], sides, lines);
    }
  } else if (!Bun.deepEquals(a, b)) lines.push(`${path}: ${sides[0]} has ${shown(a)}, ${sides[1]} has ${shown(b)}`);
}

function compareLines(
  path: string,
  a: readonly string[],
  b: readonly string[],
  sides: readonly [string, string],
  lines: string[],
) {
  const onlyA = surplus(a, b);
  const onlyB = surplus(b, a);
  for (const line of onlyA) lines.push(`${path}: ${sides[0]} has ${shown(line)}, ${sides[1]} has ${nothing}`);
  for (const line of onlyB) lines.push(`${path}: ${sides[0]} has ${nothing}, ${sides[1]} has ${shown(line)}`);
  if (onlyA.length + onlyB.length === 0 && !Bun.deepEquals(a, b))
    lines.push(`${path}: the same lines in another order`);
}

/** The lines of `a` that `b` lacks; a line that occurs twice has to be there twice. */
function surplus(a: readonly string[], b: readonly string[]): string[] {
  const rest = [...b];
  return a.filter((line) => {
    const index = rest.indexOf(line);
    if (index >= 0) rest.splice(index, 1);
    return index < 0;
  });
}

function isLines(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function shown(value: unknown): string {
  return value === undefined ? nothing : JSON.stringify(value);
}
