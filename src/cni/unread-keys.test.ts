import { expect, test } from "vitest";
import { anyObject, array, decode, optional, struct, text } from "../json/struct.ts";
import { UnreadKeys } from "./unread-keys.ts";

const range = struct({ subnet: optional(text()), rangeStart: optional(text()), rangeEnd: optional(text()) });
const schema = struct({
  master: optional(text()),
  mode: optional(text()),
  ipam: optional(anyObject()),
  args: optional(struct({ cni: optional(struct({ mac: optional(text()) })) })),
});
const ipamSchema = struct({
  ipam: struct({ ranges: optional(array(array(range)), []), routes: optional(anyObject()) }),
});

function hintsOf(config: object): string[] {
  const keys = new UnreadKeys();
  keys.watch(() => decode(schema, config));
  if ("ipam" in config) keys.watch(() => decode(ipamSchema, config));
  return keys.hints();
}

test.each<[string, object, string[]]>([
  ["a slip", { mod: "vepa" }, ["$.mod: nobody reads this key; did you mean mode?"]],
  ["a slip in a shared key", { ipma: {} }, ["$.ipma: nobody reads this key; did you mean ipam?"]],
  [
    "a slip deep inside",
    { ipam: { type: "x", ranges: [[{ subnet: "", rangeStrat: "" }]] } },
    ["$.ipam.ranges[0][0].rangeStrat: nobody reads this key; did you mean rangeStart?"],
  ],
  ["another letter case", { MODE: "", Type: "", CNIVERSION: "" }, []],
  ["what each of two readers knows", { master: "", ipam: { routes: {} } }, []],
  ["a stranger", { provider: "" }, []],
  ["a short name", { mo: "", ip: "" }, []],
  ["arguments, which are for whoever knows them", { args: { cni: { mca: "" } } }, []],
])("%s", (_, config, want) => {
  expect(hintsOf(config)).toEqual(want);
});

test("nobody is watched any more when reading is over, or has failed", () => {
  const keys = new UnreadKeys();
  expect(() => keys.watch(() => decode(schema, { mode: 1 }))).toThrow("$.mode: expected a string, found 1");
  decode(schema, { mod: "" });
  expect(keys.hints()).toEqual([]);
});
