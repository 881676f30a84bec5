import { describe, expect, test } from "vitest";
import type { JsonValue } from "../json/value.ts";
import { namesDispatcher } from "./dispatcher-type.ts";

describe("a config leads to a dispatcher", () => {
  const cases: readonly { readonly what: string; readonly value: JsonValue | undefined; readonly want: boolean }[] = [
    { what: "when it is one", value: { type: "multus" }, want: true },
    { what: "when it is the client of a thick one", value: { type: "multus-shim" }, want: true },
    { what: "with its key in any case", value: { TYPE: "multus" }, want: true },
    {
      what: "when a plugin of a delegate is one",
      value: { type: "other", delegates: [{ plugins: [{ type: "multus" }] }] },
      want: true,
    },
    { what: "not by a name", value: { name: "multus", type: "bridge" }, want: false },
    { what: "not by a type of another kind", value: { type: ["multus"] }, want: false },
    { what: "not when there is none", value: undefined, want: false },
  ];
  for (const { what, value, want } of cases) test(what, () => expect(namesDispatcher(value)).toBe(want));
});
