import { expect, test } from "vitest";
import { findBuiltin, isPluginName, pluginNames } from "./builtins.ts";

test.each(pluginNames())("%s speaks every version, as VERSION is answered for it before it is loaded", async (name) => {
  const plugin = await findBuiltin(name);
  expect(plugin?.name).toBe(name);
  expect(plugin?.since).toBeUndefined();
});

test("the names are sorted, and each is one that the executable answers to", () => {
  expect(pluginNames()).toEqual(pluginNames().toSorted());
  expect(pluginNames().every(isPluginName)).toBe(true);
  expect(["", "polynic", "toString"].some(isPluginName)).toBe(false);
});
