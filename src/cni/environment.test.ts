import { expect, test } from "vitest";
import { type Environment, readRequest, verbOf } from "./environment.ts";

const complete = {
  CNI_COMMAND: "ADD",
  CNI_CONTAINERID: "c-1_a.b",
  CNI_NETNS: "/run/netns/c1",
  CNI_IFNAME: "net1",
  CNI_ARGS: "A=b",
  CNI_PATH: "/opt/cni/bin::/usr/lib/cni",
};

test("every variable comes back, CNI_PATH as directories without empty ones", () => {
  expect(readRequest(complete)).toEqual({
    command: "ADD",
    containerId: "c-1_a.b",
    netnsPath: "/run/netns/c1",
    ifName: "net1",
    args: "A=b",
    path: ["/opt/cni/bin", "/usr/lib/cni"],
    netnsOverride: false,
  });
});

test.each([{}, { CNI_COMMAND: "" }, { CNI_IFNAME: "net1" }])(
  "without CNI_COMMAND there is no request: %j",
  (environment) => {
    expect(readRequest(environment)).toBeUndefined();
  },
);

const required: readonly (readonly [verb: string, missing: string])[] = [
  ["ADD", "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"],
  ["CHECK", "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"],
  ["DEL", "CNI_CONTAINERID,CNI_IFNAME,CNI_PATH"],
  ["GC", "CNI_PATH"],
  ["STATUS", "CNI_PATH"],
];

test.each(required)("%s requires %s, and an empty value is a missing one", (verb, missing) => {
  const want = { code: 4, message: `required env variables [${missing}] missing`, details: "" };
  const empty = Object.fromEntries(missing.split(",").map((name) => [name, ""]));
  expect(() => readRequest({ CNI_COMMAND: verb })).toThrow(expect.objectContaining(want));
  expect(() => readRequest({ ...complete, ...empty, CNI_COMMAND: verb })).toThrow(expect.objectContaining(want));
});

test.each(required)("%s does with what it requires alone", (verb, missing) => {
  const given = missing.split(",").map((name) => [name, name === "CNI_IFNAME" ? "net1" : "x"]);
  expect(verbOf(readRequest({ CNI_COMMAND: verb, ...Object.fromEntries(given) })!)).toBe(verb);
});

test.each(["VERSION", "FROBNICATE", "add"])("%s requires nothing", (command) => {
  expect(readRequest({ CNI_COMMAND: command })).toMatchObject({ command, path: [] });
});

test.each(["FROBNICATE", "add", " ADD"])("the command %j is no verb", (command) => {
  const request = readRequest({ CNI_COMMAND: command })!;
  expect(() => verbOf(request)).toThrow(
    expect.objectContaining({ code: 4, message: `unknown CNI_COMMAND: ${command}` }),
  );
});

const slash = "interface name contains / or : or whitespace characters";
const malformed: readonly (readonly [name: string, change: Environment, message: string, details: string])[] = [
  ["id with a slash", { CNI_CONTAINERID: "a/b" }, "invalid characters in containerID", "a/b"],
  ["id that begins with a dot", { CNI_CONTAINERID: ".a" }, "invalid characters in containerID", ".a"],
  ["id that ends in a newline", { CNI_CONTAINERID: "a\n" }, "invalid characters in containerID", "a\n"],
  [
    "long interface name",
    { CNI_IFNAME: "a234567890123456" },
    "interface name is too long",
    "interface name should be less than 16 characters",
  ],
  [
    "interface name that is long in bytes",
    { CNI_IFNAME: "éééééééé" },
    "interface name is too long",
    "interface name should be less than 16 characters",
  ],
  ["interface .", { CNI_IFNAME: "." }, "interface name is . or ..", ""],
  ["interface ..", { CNI_IFNAME: ".." }, "interface name is . or ..", ""],
  ["interface with a slash", { CNI_IFNAME: "a/b" }, slash, "a/b"],
  ["interface with a colon", { CNI_IFNAME: "a:b" }, slash, "a:b"],
  ["interface with a space", { CNI_IFNAME: "a b" }, slash, "a b"],
  ["interface with a no-break space", { CNI_IFNAME: "a\u00a0b" }, slash, "a\u00a0b"],
  ["interface with a next-line character", { CNI_IFNAME: "a\u0085b" }, slash, "a\u0085b"],
  [
    "value, before what is missing is told",
    { CNI_CONTAINERID: "a b", CNI_PATH: "" },
    "invalid characters in containerID",
    "a b",
  ],
];

test.each(malformed)("a malformed %s is refused at once", (_, change, message, details) => {
  expect(() => readRequest({ ...complete, ...change })).toThrow(expect.objectContaining({ code: 4, message, details }));
});

test("a name of 15 bytes and other odd but lawful names pass", () => {
  for (const ifName of ["a23456789012345", "...", "eth0.100", "%d", "\ufeff"]) {
    expect(readRequest({ ...complete, CNI_IFNAME: ifName })?.ifName).toBe(ifName);
  }
});

test("verbs that need no container do not look at its variables", () => {
  expect(readRequest({ CNI_COMMAND: "GC", CNI_PATH: "/x", CNI_CONTAINERID: "a/b", CNI_IFNAME: ":" })).toBeDefined();
});

test.each([
  ["1", true],
  ["true", true],
  ["TrUe", true],
  ["", false],
  ["0", false],
  ["yes", false],
] as const)("CNI_NETNS_OVERRIDE=%j means %s", (value, want) => {
  expect(readRequest({ ...complete, CNI_NETNS_OVERRIDE: value })?.netnsOverride).toBe(want);
});
