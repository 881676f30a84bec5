import { beforeEach, describe, expect, test } from "vitest";
import { noConf, TestFolder } from "./folder.test-data.ts";
import { type ConfOptions, generateConf } from "./dispatcher-conf.ts";
import { findPrimary, type Primary } from "./primary.ts";

const folder = new TestFolder();
beforeEach(() => folder.clear());

const plain = { cniVersion: "0.3.1", name: "plain", type: "ptp" };
const itself = { cniVersion: "0.3.1", name: "m", type: "multus", delegates: [plain] };

function found(fileName?: string): Primary {
  const search = findPrimary(folder.path, fileName);
  if (search.kind === "none") throw new Error(search.reasons.join("; "));
  return search.primary;
}

describe("the primary is", () => {
  test.each<[string, Readonly<Record<string, object>>, string, string]>([
    ["the first by file name", { "20-b.conf": plain, "10-a.conflist": { ...plain, name: "a" } }, "", "a"],
    ["the one that is named", { "20-b.conf": plain, "10-a.conf": { ...plain, name: "a" } }, "20-b.conf", "plain"],
    [
      "no generated config, whatever its content",
      { "00-multus.conf": { ...plain, name: "x" }, "10-a.conf": plain },
      "",
      "plain",
    ],
    ["no config of the dispatcher", { "05-m.conf": itself, "10-a.conf": plain }, "", "plain"],
    [
      "none that leads to the dispatcher at any depth",
      {
        "05-m.conflist": {
          name: "m",
          plugins: [{ type: "other", delegates: [{ plugins: [{ TYPE: "multus-shim" }] }] }],
        },
        "10-a.conf": plain,
      },
      "",
      "plain",
    ],
    [
      "no file that runtimes pass over",
      { "05-x.conf.old": plain, ".06-y.conf": plain, "10-a.json": plain },
      "",
      "plain",
    ],
  ])("%s", (_, files, fileName, want) => {
    for (const [name, content] of Object.entries(files)) folder.write(name, content);
    expect(found(fileName === "" ? undefined : fileName).list.name).toBe(want);
  });

  test("not the second when the first can't be read: it may just be being written", () => {
    folder.write("05-x.conf", '{"name": ');
    folder.write("10-a.conf", plain);
    expect(findPrimary(folder.path)).toMatchObject({
      kind: "none",
      reasons: [expect.stringContaining("05-x.conf: ")],
    });
  });
});

describe("the config in front of it", () => {
  function generated(primary: object, over: Partial<ConfOptions> = {}) {
    folder.write("10-a.conflist", primary);
    const { fileName, text } = generateConf(found(), { ...noConf, ...over });
    return { fileName, conf: JSON.parse(text) as Record<string, unknown> };
  }

  test("is told what any plugin of the chain wants to be told", () => {
    const plugins = [
      { type: "a", capabilities: { ips: true, mac: false } },
      { type: "b", capabilities: { portMappings: true, ips: true } },
    ];
    expect(generated({ cniVersion: "0.4.0", name: "n", plugins }).conf).toMatchObject({
      type: "multus",
      capabilities: { ips: true, portMappings: true },
    });
  });

  test("takes the newest version that both speak", () => {
    const { fileName, conf } = generated({
      cniVersion: "0.4.0",
      cniVersions: ["0.4.0", "1.1.0", "9.0.0"],
      name: "n",
      plugins: [plain],
    });
    expect([fileName, conf["cniVersion"]]).toEqual(["00-multus.conflist", "1.1.0"]);
  });

  test("has the plugins of the network's folder in it, which the runtime would run too", () => {
    folder.write("n/50-more.conf", { type: "tuning" });
    const { conf } = generated({ cniVersion: "0.4.0", name: "n", plugins: [{ type: "a" }] });
    expect(conf["delegates"]).toMatchObject([{ name: "n", plugins: [{ type: "a" }, { type: "tuning" }] }]);
  });

  test("forces a version on both only when it is told to", () => {
    const forced = generated(plain, { cniVersion: "0.4.0", forcesVersion: true });
    expect(forced.conf).toMatchObject({ cniVersion: "0.4.0", delegates: [{ cniVersion: "0.4.0" }] });
    const free = generated(plain, { cniVersion: "0.4.0", keepsName: true });
    expect(free.conf).toMatchObject({ cniVersion: "0.4.0", name: "plain", delegates: [{ cniVersion: "0.3.1" }] });
  });

  test("says what it is told, and nothing that it is not", () => {
    expect(Object.keys(generated(plain).conf).sort()).toEqual([
      "cniVersion",
      "delegates",
      "logToStderr",
      "name",
      "type",
    ]);
    const more = {
      kubeconfig: "/k",
      binDir: "/b",
      globalNamespaces: "a,b",
      namespaceIsolation: true,
      readinessIndicatorFile: "/r",
    };
    expect(generated(plain, more).conf).toMatchObject({
      kubeconfig: "/k",
      binDir: "/b",
      globalNamespaces: "a,b",
      namespaceIsolation: true,
      readinessindicatorfile: "/r",
    });
  });
});
