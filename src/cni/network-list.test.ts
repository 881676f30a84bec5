import { expect, test } from "vitest";
import { type NetworkList, parseNetwork, parsePluginEntry, withPlugins } from "./network-list.ts";

const plugin = { type: "bridge" };
const list = (members: object) => parseNetwork(JSON.stringify({ name: "net", plugins: [plugin], ...members }));

test("a list comes back whole, and its text is the very text it came from", () => {
  const text = `{
    "cniVersion": "1.0.0", "name": "net", "disableCheck": true, "disableGC": "FALSE", "loadOnlyInlinedPlugins": "True",
    "plugins": [
      {"type": "bridge", "x": {"y": 1}},
      {"type": "portmap", "capabilities": {"portMappings": true, "mac": false, "ips": true}}
    ]
  }`;
  expect(parseNetwork(text)).toEqual({
    name: "net",
    cniVersion: "1.0.0",
    disableCheck: true,
    disableGC: false,
    loadOnlyInlinedPlugins: true,
    plugins: [
      { type: "bridge", capabilities: [], config: { type: "bridge", x: { y: 1 } } },
      {
        type: "portmap",
        capabilities: ["portMappings", "ips"],
        config: { type: "portmap", capabilities: { portMappings: true, mac: false, ips: true } },
      },
    ],
    text,
    warnings: [],
  } satisfies NetworkList);
});

test("a single plugin's config becomes a list of one with a text of its own", () => {
  const single = { type: "macvlan", name: "net", cniVersion: "0.3.1", master: "eth0" };
  expect(parseNetwork(JSON.stringify(single))).toMatchObject({
    name: "net",
    cniVersion: "0.3.1",
    plugins: [{ type: "macvlan", config: single }],
    text: `{"cniVersion":"0.3.1","name":"net","plugins":[{"type":"macvlan","name":"net","cniVersion":"0.3.1","master":"eth0"}]}`,
  });
});

test("a list without plugins is fine until somebody wants to run it", () => {
  expect(parseNetwork('{"name":"net"}')).toMatchObject({ plugins: [], cniVersion: "0.1.0" });
});

test("comments are read over with a warning", () => {
  const { warnings } = parseNetwork('{"name":"net", // mine\n"plugins":[{"type":"bridge"}]}');
  expect(warnings).toEqual([expect.stringContaining("// mine")]);
});

const choices: readonly (readonly [name: string, members: object, want: string])[] = [
  ["nothing", {}, "0.1.0"],
  ["cniVersion alone, even a future one", { cniVersion: "9.9.9" }, "9.9.9"],
  ["the highest of cniVersions", { cniVersions: ["0.4.0", "1.0.0", "0.3.1"] }, "1.0.0"],
  ["cniVersion among them", { cniVersion: "1.1.0", cniVersions: ["0.4.0", "1.0.0"] }, "1.1.0"],
  ["none that is newer than 1.1.0", { cniVersion: "1.2.0", cniVersions: ["1.0.0", "2.0.0"] }, "1.0.0"],
  ["cniVersion when all are newer", { cniVersion: "2.0.0", cniVersions: ["2.1.0"] }, "2.0.0"],
  ["numbers, not text", { cniVersions: ["0.10.0", "0.9.0"] }, "0.10.0"],
  ["an empty list", { cniVersion: "0.4.0", cniVersions: [] }, "0.4.0"],
];

test.each(choices)("of the versions, %s is chosen", (_, members, want) => {
  expect(list(members).cniVersion).toBe(want);
});

const refused: readonly (readonly [name: string, text: string, code: number, message: string])[] = [
  ["no JSON", "{", 6, "line 1, column 2"],
  ["no object", "[]", 6, "expected a JSON object"],
  ["no name", '{"plugins":[{"type":"a"}]}', 7, "no name"],
  ["a name that is no string", '{"name":1,"plugins":[{"type":"a"}]}', 7, "$.name: expected a string, found 1"],
  ["plugins that are no array", '{"name":"n","plugins":{}}', 7, "$.plugins: expected an array, found {}"],
  ["no plugins in the array", '{"name":"n","plugins":[]}', 7, "no plugins in list"],
  ["a plugin that is no object", '{"name":"n","plugins":[1]}', 7, "$.plugins[0]: expected an object, found 1"],
  ["a plugin without type", '{"name":"n","plugins":[{"type":"a"},{}]}', 7, "$.plugins[1].type: missing 'type'"],
  [
    "a type that is no string",
    '{"name":"n","plugins":[{"type":[]}]}',
    7,
    "$.plugins[0].type: expected a string, found []",
  ],
  [
    "a capability that is no boolean",
    '{"name":"n","plugins":[{"type":"a","capabilities":{"mac":1}}]}',
    7,
    "$.plugins[0].capabilities.mac: expected true or false",
  ],
  ["a switch that is none", '{"name":"n","disableGC":"yes"}', 7, '$.disableGC: expected true or false, found "yes"'],
  ["a switch that is a number", '{"name":"n","disableCheck":1}', 7, "$.disableCheck: expected true or false, found 1"],
  [
    "only inlined plugins, and none",
    '{"name":"n","loadOnlyInlinedPlugins":true}',
    7,
    "$.loadOnlyInlinedPlugins is true",
  ],
  ["a version that is no string", '{"name":"n","cniVersion":1}', 7, "$.cniVersion: expected a string, found 1"],
  ["versions that are no array", '{"name":"n","cniVersions":"1.0.0"}', 7, "$.cniVersions: expected an array"],
  [
    "a malformed version among them",
    '{"name":"n","cniVersions":["1.0.0","x"]}',
    7,
    '$.cniVersions[1]: expected a version such as "1.1.0", found "x"',
  ],
];

test.each(refused)("%s is refused with its path", (_, text, code, message) => {
  expect(() => parseNetwork(text)).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(message) }),
  );
});

test("plugins that are added come last, and the text then reads back as the whole list", () => {
  const whole = withPlugins(list({ cniVersion: "1.1.0", disableCheck: true }), [
    parsePluginEntry('{"type":"tuning","mtu":9000}'),
  ]);
  expect(whole.plugins.map(({ type }) => type)).toEqual(["bridge", "tuning"]);
  const { plugins, name, cniVersion, disableCheck } = parseNetwork(whole.text);
  expect({ plugins, name, cniVersion, disableCheck }).toEqual({
    plugins: whole.plugins,
    name: "net",
    cniVersion: "1.1.0",
    disableCheck: true,
  });
  expect(withPlugins(whole, [])).toBe(whole);
});

test("a plugin of its own needs a type", () => {
  expect(() => parsePluginEntry("{}")).toThrow("$.type: missing 'type'");
});
