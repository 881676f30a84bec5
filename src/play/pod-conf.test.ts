import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { defaultBridge, defaultConf, defaultRoot } from "./default-conf.ts";
import { describeChain, dispatcherConf, readConf, readConfWith, toList } from "./pod-conf.ts";

const folder = mkdtempSync(join(tmpdir(), "polynic-conf-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function file(content: object | string): string {
  const path = join(folder, "net.conf");
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

const delegates = [{ type: "bridge", name: "d" }];

test.each<[string, object[], string]>([
  ["a plugin", [{ type: "macvlan" }], "macvlan"],
  ["a plugin with IPAM", [{ type: "macvlan", ipam: { type: "static" } }], "macvlan/static"],
  ["a chain", [{ type: "bridge", ipam: { type: "host-local" } }, { type: "tuning" }], "bridge/host-local+tuning"],
  ["an IPAM without a type", [{ type: "ipvlan", ipam: {} }], "ipvlan"],
])("%s in short", (_, plugins, want) => {
  expect(describeChain(toList({ cniVersion: "1.0.0", name: "x", plugins: plugins as never }))).toBe(want);
});

describe("the manifests of a config are those of the play", () => {
  test.each<[string, object]>([
    ["in a single plugin", { cniVersion: "1.0.0", name: "x", type: "multus", delegates }],
    ["in a list", { cniVersion: "1.0.0", name: "x", plugins: [{ type: "multus", delegates }] }],
    ["in place of others", { cniVersion: "1.0.0", name: "x", type: "multus", manifests: "/elsewhere", delegates }],
  ])("%s", (_, content) => {
    expect(dispatcherConf(readConfWith(file(content), "/here"))?.manifests).toBe("/here");
  });
  test("and no other plugin is given any", () => {
    const list = readConfWith(file({ cniVersion: "1.0.0", name: "x", type: "bridge" }), "/here");
    expect(list.text).not.toContain("/here");
    expect(dispatcherConf(list)).toBeUndefined();
  });
});

test.each<[string, object | string, string]>([
  ["no JSON", "{", "net.conf"],
  ["no plugins", { name: "x", plugins: [] }, "no plugins in list"],
])("a config with %s is bad input that names the file", (_, content, want) => {
  const path = file(content);
  expect(() => readConf(path)).toThrow(expect.objectContaining({ name: "InputError" }));
  expect(() => readConf(path)).toThrow(want);
});

describe("the default configuration", () => {
  test("is one that the dispatcher understands, with everything below the root", () => {
    const list = toList(
      defaultConf({ root: "/r", manifests: "/r/play-1/manifests", podCidr: "10.1.0.0/24", publishes: false }),
    );
    expect(dispatcherConf(list)).toMatchObject({ manifests: "/r/play-1/manifests", cniDir: "/r/multus" });
    expect(list.text).not.toContain("/var/");
  });
  test("has portmap behind the bridge where pods have ports of the node, and asks the runtime for them", () => {
    const options = { root: "/r", manifests: "/r/m", podCidr: "10.1.0.0/24" };
    const [published, plain] = [true, false].map((publishes) => toList(defaultConf({ ...options, publishes })));
    const capabilities = { portMappings: true };
    expect(published?.plugins[0]?.config).toMatchObject({ capabilities });
    expect(dispatcherConf(published!)?.delegates).toMatchObject([
      {
        plugins: [
          { type: "bridge", isDefaultGateway: true },
          { type: "portmap", capabilities },
        ],
      },
    ]);
    expect(plain?.text).not.toContain("port");
  });
  test("has another bridge for each root, with names that the kernel takes", () => {
    expect(defaultBridge(defaultRoot)).toBe("polynic0");
    expect(defaultBridge("/a")).not.toBe(defaultBridge("/b"));
    expect(defaultBridge("/a")).toMatch(/^[a-z0-9-]{1,15}$/);
  });
});
