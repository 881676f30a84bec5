import type { JsonObject } from "../json/value.ts";

/**
 * A copy of a config with these members put in at its end. A member of the same name in any letter case goes, since the plugin matches
 * names without regard to case and of several takes the last.
 */
export function inject(config: JsonObject, members: JsonObject): JsonObject {
  const replaced = new Set(Object.keys(members).map((name) => name.toLowerCase()));
  const kept = Object.entries(config).filter(([name]) => !replaced.has(name.toLowerCase()));
  return Object.fromEntries([...kept, ...Object.entries(members)]);
}
