import type { JsonObject, JsonValue } from "../json/value.ts";

/**
 * A copy of a config with these members put in at its end. A member of the same name in any letter case goes, since the plugin matches
 * names without regard to case and of several takes the last.
 */
export function inject(config: JsonObject, members: JsonObject): JsonObject {
  const kept: Record<string, JsonValue | undefined> = { ...config };
  for (const name of Object.keys(kept)) if (isNamed(name, members)) delete kept[name];
  return { ...kept, ...members };
}

function isNamed(name: string, members: JsonObject): boolean {
  const folded = name.toLowerCase();
  for (const each of Object.keys(members)) if (each.toLowerCase() === folded) return true;
  return false;
}
