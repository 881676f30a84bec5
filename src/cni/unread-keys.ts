import { joinPath } from "../json/error.ts";
import { observeStructs } from "../json/struct.ts";
import { nearMisses } from "../words/near-miss.ts";

/** Keys that are read by name wherever they stand, so that no struct lists them (spec "Plugin configuration objects"). */
const readByName: Readonly<Record<string, readonly string[]>> = {
  $: ["cniVersion", "name", "type", "capabilities", "ipam", "dns", "args", "runtimeConfig", "prevResult"],
  "$.ipam": ["type"],
};

/** What runtimes and pods put together, with keys for whoever may understand them. */
const open = /^\$\.(args|runtimeConfig|prevResult|capabilities)\b/;

/** Shorter names are all near to each other. */
const shortestName = 3;

interface SeenObject {
  readonly given: Set<string>;
  readonly known: Set<string>;
}

/**
 * Keys that nobody reads and that come near one that is read: most likely a slip, which reading passes over in silence, as Go does. What several
 * readers see of one object counts together.
 */
export class UnreadKeys {
  readonly #seen = new Map<string, SeenObject>();

  /** What `read` returns; it must not be asynchronous. Throws what it throws. */
  watch<T>(read: () => T): T {
    return observeStructs((path, given, known) => this.#add(path, given, known), read);
  }

  /** One line for each such key: "$.ipam.rangeStrat: nobody reads this key; did you mean rangeStart?". */
  hints(): string[] {
    const hints: string[] = [];
    for (const [path, { given, known }] of this.#seen) {
      const readable = [...new Set([...known, ...(readByName[path] ?? [])])];
      for (const name of given) {
        if (name.length < shortestName || isOneOf(name, readable)) continue;
        const meant = nearMisses(name, readable);
        if (meant.length === 0) continue;
        hints.push(`${joinPath(path, [name])}: nobody reads this key; did you mean ${meant.join(" or ")}?`);
      }
    }
    return hints;
  }

  #add(path: string, given: readonly string[], known: readonly string[]): void {
    if (open.test(path)) return;
    const seen = this.#seen.get(path);
    if (seen === undefined) this.#seen.set(path, { given: new Set(given), known: new Set(known) });
    else for (const name of known) seen.known.add(name);
  }
}

/** In any letter case, as they are read. */
function isOneOf(name: string, names: readonly string[]): boolean {
  return names.some((each) => each.toLowerCase() === name.toLowerCase());
}
