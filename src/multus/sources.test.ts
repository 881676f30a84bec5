import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Cluster, ClusterError, type ClusterErrorCode, type Pod } from "../cluster/port.ts";
import { parseNetConf } from "../cni/net-conf.ts";
import { type LogEntry, loggerTo } from "../log/logger.ts";
import { parseMultusConf } from "./config.ts";
import { networkSources } from "./sources.ts";

let folder = "";
let log: LogEntry[] = [];
/** Every definition that was asked for, in order. */
let asked: string[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "polynic-sources-"));
  log = [];
  asked = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(name: string, config: object | string): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof config === "string" ? config : JSON.stringify(config));
  return path;
}

/** A cluster with these definitions; an error code in place of a config is what asking for it gives. */
function fakeCluster(definitions: Readonly<Record<string, string>>): Cluster {
  const nothing = (): Promise<void> => Promise.resolve();
  return {
    getPod: () => Promise.resolve(undefined),
    getNetwork: (namespace, name) => {
      const key = `${namespace}/${name}`;
      asked.push(key);
      const config = definitions[key] ?? "!not-found";
      if (config.startsWith("!"))
        return Promise.reject(
          new ClusterError(config.slice(1) as ClusterErrorCode, `get network ${key}`, "no luck", "try x"),
        );
      return Promise.resolve({ namespace, name, config, annotations: {} });
    },
    claimedDevices: () => Promise.resolve(new Map()),
    setNetworkStatus: nothing,
    emit: () => undefined,
    flush: nothing,
    pools: () => Promise.resolve(undefined),
  };
}

function pod(networks: string, more: Partial<Pod> & { readonly defaultNetwork?: string } = {}): Pod {
  const { defaultNetwork, ...rest } = more;
  const annotations = {
    "k8s.v1.cni.cncf.io/networks": networks,
    ...(defaultNetwork === undefined ? {} : { "v1.multus-cni.io/default-network": defaultNetwork }),
  };
  return { namespace: "default", name: "web", uid: "u", isStatic: false, annotations, ...rest };
}

const bridge = { cniVersion: "1.0.0", name: "main", type: "bridge" };

async function find(keys: object, definitions: Readonly<Record<string, string>> = {}, who: Pod | null = pod("")) {
  const raw = { cniVersion: "1.0.0", name: "multi", type: "multus", confDir: join(folder, "net.d"), ...keys };
  const conf = parseMultusConf(parseNetConf(JSON.stringify(raw), "ADD").conf);
  return networkSources({
    conf,
    cluster: fakeCluster(definitions),
    pod: who ?? undefined,
    log: loggerTo("debug", (entry) => log.push(entry)),
  });
}

const namesOf = async (...call: Parameters<typeof find>): Promise<string[]> =>
  (await find(...call)).map(({ name }) => name);

describe("the order of networks", () => {
  const definitions = {
    "default/a": '{"type":"x"}',
    "default/b": '{"type":"x"}',
    "kube-system/d": '{"type":"x"}',
    "kube-system/c": '{"type":"x"}',
  };

  test("is the default one, further delegates, the pod's own in its order", async () => {
    expect(await namesOf({ delegates: [bridge, { ...bridge, name: "second" }] }, definitions, pod("b,a"))).toEqual([
      "main",
      "second",
      "default/b",
      "default/a",
    ]);
  });

  test("is clusterNetwork, defaultNetworks, the pod's own, the auxiliary chain", async () => {
    const clusterNetwork = write("cluster/10.conf", bridge);
    write("cluster/chain/1.conf", { type: "tuning" });
    const keys = { clusterNetwork, defaultNetworks: ["d"], auxiliaryCNIChainName: "chain" };
    expect(await namesOf(keys, definitions, pod("a"))).toEqual(["main", "kube-system/d", "default/a", "chain"]);
  });

  test("leaves defaultNetworks out for pods of system namespaces, and where there is no pod", async () => {
    const keys = { clusterNetwork: "c", defaultNetworks: ["d"] };
    expect(await namesOf(keys, definitions, pod("", { namespace: "kube-system" }))).toEqual(["kube-system/c"]);
    expect(await namesOf(keys, definitions, null)).toEqual(["kube-system/c"]);
    expect(await namesOf({ ...keys, systemNamespaces: ["default"] }, definitions)).toEqual(["kube-system/c"]);
  });

  test("begins with the pod's own default network, and does not even look for the node's (Multus does)", async () => {
    const keys = { clusterNetwork: "nowhere", defaultNetworks: ["d"] };
    expect(await namesOf(keys, definitions, pod("a", { defaultNetwork: "c" }))).toEqual([
      "kube-system/c",
      "kube-system/d",
      "default/a",
    ]);
    expect(asked).not.toContain("kube-system/nowhere");
    expect(
      await namesOf(
        { delegates: [bridge, { ...bridge, name: "second" }] },
        definitions,
        pod("", { defaultNetwork: "default/a" }),
      ),
    ).toEqual(["default/a", "second"]);
  });
});

describe("a definition", () => {
  const delegates = [bridge];

  test("is read once, however often it is named (Multus reads it each time)", async () => {
    expect(await namesOf({ delegates }, { "default/a": '{"type":"x"}' }, pod("a,a@i,a"))).toHaveLength(4);
    expect(asked).toEqual(["default/a"]);
  });

  test.each([
    ["single", '{"type":"x","cniVersion":"1.0.0"}', "a"],
    ["list", '{"plugins":[{"type":"x"}]}', "a"],
    ["with an empty name", '{"name":"","type":"x"}', "a"],
    ["with a name of null", '{"name":null,"type":"x"}', "a"],
    ["with another name", '{"name":"other","type":"x"}', "other"],
  ])("gets its name where its config has none: %s", async (_, config, want) => {
    const [, found] = await find({ delegates }, { "default/a": config }, pod("a"));
    expect(found).toMatchObject({
      name: "default/a",
      origin: "NetworkAttachmentDefinition default/a",
      list: { name: want },
    });
  });

  test("with comments is read with a warning that names it", async () => {
    await find({ delegates }, { "default/a": '{"type":"x"} # why' }, pod("a"));
    expect(log.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^NetworkAttachmentDefinition default\/a: .*comment/),
    ]);
  });

  test("without config is looked up in confDir, lists first, with the plugins of its folder", async () => {
    write("net.d/10.conf", { ...bridge, name: "a" });
    write("net.d/90.conflist", { cniVersion: "1.0.0", name: "a", plugins: [{ type: "macvlan" }] });
    write("net.d/a/50.conf", { type: "tuning" });
    const [, found] = await find({ delegates }, { "default/a": "  " }, pod("a"));
    expect(found).toMatchObject({ name: "default/a", list: { plugins: [{ type: "macvlan" }, { type: "tuning" }] } });
  });

  test.each<[string, string, string, string, number]>([
    [
      "that is missing",
      "!not-found",
      "NoNetworkFound",
      "cannot find a network-attachment-definition (a) in namespace (default): get network default/a: no luck; try x",
      7,
    ],
    [
      "that can't be read now",
      "!unavailable",
      "NetworkNotReadable",
      "cannot read a network-attachment-definition (a) in namespace (default): get network default/a: no luck; try x",
      11,
    ],
    ["that may not be read", "!forbidden", "NetworkNotReadable", "cannot read a network-attachment-definition (a)", 11],
    [
      "whose config is no JSON",
      "{",
      "InvalidNetwork",
      "NetworkAttachmentDefinition default/a: failed to unmarshal Spec.Config: ",
      7,
    ],
    [
      "whose config is no object",
      "[]",
      "InvalidNetwork",
      "NetworkAttachmentDefinition default/a: spec.config: expected a JSON object",
      7,
    ],
    [
      "with neither type nor plugins",
      '{"cniVersion":"1.0.0"}',
      "InvalidNetwork",
      'NetworkAttachmentDefinition default/a: expected "type" for one plugin or "plugins" for a list, found neither',
      7,
    ],
    [
      "whose list is empty",
      '{"plugins":[]}',
      "InvalidNetwork",
      "NetworkAttachmentDefinition default/a: error parsing configuration list: no plugins in list",
      7,
    ],
    [
      "without config and without file",
      "",
      "NoNetworkFound",
      "NetworkAttachmentDefinition default/a has an empty spec, so a file with its name is needed: ",
      7,
    ],
  ])("%s is told under its reason", async (_, config, reason, message, code) => {
    await expect(find({ delegates }, { "default/a": config }, pod("a"))).rejects.toThrow(
      expect.objectContaining({ reason, code, message: expect.stringContaining(message) as unknown }),
    );
  });
});

describe("clusterNetwork and defaultNetworks", () => {
  test("by name: a definition in multusNamespace before a file of confDir", async () => {
    write("net.d/x.conf", { ...bridge, name: "net" });
    expect(await namesOf({ clusterNetwork: "net" }, { "kube-system/net": '{"type":"x"}' })).toEqual([
      "kube-system/net",
    ]);
    expect(
      await namesOf({ clusterNetwork: "net", multusNamespace: "other" }, { "kube-system/net": '{"type":"x"}' }),
    ).toEqual(["net"]);
  });

  test("that are nowhere say so of both places (Multus drops the cause)", async () => {
    await expect(find({ clusterNetwork: "net" })).rejects.toThrow(
      expect.objectContaining({
        reason: "NoNetworkFound",
        message: `failed to get clusterNetwork net in namespace kube-system: get network kube-system/net: no luck; try x, and no net configurations found in ${folder}/net.d; there is no such folder`,
      }),
    );
  });

  test("that can't be read now are not taken from a file of the same name", async () => {
    write("net.d/x.conf", { ...bridge, name: "net" });
    await expect(find({ clusterNetwork: "net" }, { "kube-system/net": "!unavailable" })).rejects.toThrow(
      expect.objectContaining({ reason: "NetworkNotReadable", code: 11 }),
    );
  });

  test.each<[string, () => string, string[]]>([
    ["a file of one plugin", () => write("c/a.conf", bridge), ["bridge"]],
    [
      "a list, with the plugins of its folder",
      () => (
        write("c/main/9.conf", { type: "tuning" }),
        write("c/a.conflist", { cniVersion: "1.0.0", name: "main", plugins: [{ type: "ptp" }] })
      ),
      ["ptp", "tuning"],
    ],
    [
      "a list that wants its own plugins only",
      () => (
        write("c/main/9.conf", { type: "tuning" }),
        write("c/a.conflist", {
          cniVersion: "1.0.0",
          name: "main",
          loadOnlyInlinedPlugins: true,
          plugins: [{ type: "ptp" }],
        })
      ),
      ["ptp"],
    ],
    [
      "a folder: its first file, whatever its network is called",
      () => (
        write("c/20-b.conf", bridge),
        write("c/10-a.json", { ...bridge, type: "first" }),
        write("c/00-readme.txt", "no"),
        join(folder, "c")
      ),
      ["first"],
    ],
    ["a folder with a slash behind it", () => (write("c/20-b.conf", bridge), `${folder}/c/`), ["bridge"]],
  ])("by path: %s", async (_, make, types) => {
    const [found] = await find({ clusterNetwork: make() });
    expect(found?.list.plugins.map(({ type }) => type)).toEqual(types);
    expect(asked).toEqual([]);
  });

  test.each<[string, () => string, string]>([
    ["nothing there", () => "/nowhere/x.conf", "clusterNetwork: there is no file /nowhere/x.conf"],
    [
      "an empty folder",
      () => (mkdirSync(join(folder, "c")), join(folder, "c")),
      "clusterNetwork: no .conf, .conflist or .json file in",
    ],
    ["no JSON", () => write("c/a.conf", "{"), "clusterNetwork: "],
    ["no type", () => write("c/a.conf", { name: "x", cniVersion: "1.0.0" }), "no plugin configs found"],
  ])("by path: %s is told", async (_, make, message) => {
    await expect(find({ clusterNetwork: make() })).rejects.toThrow(
      expect.objectContaining({ reason: "NoNetworkFound", message: expect.stringContaining(message) as unknown }),
    );
  });
});

describe("the auxiliary chain", () => {
  const chain = async (keys: object = {}) => {
    const clusterNetwork = write("cluster/10.conf", bridge);
    return (await find({ clusterNetwork, auxiliaryCNIChainName: "vendor", ...keys })).slice(1);
  };

  test("is passthru and then the files of its folder, in the dispatcher's own version", async () => {
    write("cluster/vendor/b.conf", { type: "two" });
    write("cluster/vendor/a.conf", { type: "one" });
    write("cluster/vendor/ignored.json", { type: "three" });
    expect(await chain()).toMatchObject([
      {
        name: "vendor",
        isAuxiliary: true,
        list: {
          name: "vendor",
          cniVersion: "1.0.0",
          plugins: [{ type: "passthru" }, { type: "one" }, { type: "two" }],
        },
      },
    ]);
    expect((await chain({ cniVersion: "0.2.0" }))[0]?.list.cniVersion).toBe("0.3.0");
  });

  test("is none without files", async () => {
    expect(await chain()).toEqual([]);
  });

  test("with a file that can't be used fails the pod (Multus leaves it out without a word)", async () => {
    write("cluster/vendor/a.conf", "{");
    await expect(chain()).rejects.toThrow(
      expect.objectContaining({
        reason: "NoNetworkFound",
        message: expect.stringContaining("cluster/vendor/a.conf") as unknown,
      }),
    );
  });
});

describe("annotations", () => {
  const delegates = [bridge];

  test.each<[string, Pod, string]>([
    [
      "a networks annotation that does not parse",
      pod("a,"),
      "annotation k8s.v1.cni.cncf.io/networks: empty network name",
    ],
    [
      "a default network that does not parse",
      pod("", { defaultNetwork: "[" }),
      "annotation v1.multus-cni.io/default-network: invalid JSON form",
    ],
    [
      "two default networks",
      pod("", { defaultNetwork: "a,b" }),
      "annotation v1.multus-cni.io/default-network: more than one default network is specified",
    ],
  ])("%s is refused before anything is read", async (_, who, message) => {
    await expect(find({ delegates }, {}, who)).rejects.toThrow(
      expect.objectContaining({
        reason: "InvalidNetworkSelection",
        message: expect.stringContaining(message) as unknown,
      }),
    );
    expect(asked).toEqual([]);
  });

  test("mean nothing where there is no store to look networks up in", async () => {
    const conf = parseMultusConf(
      parseNetConf(JSON.stringify({ cniVersion: "1.0.0", name: "m", type: "multus", delegates }), "ADD").conf,
    );
    const found = await networkSources({
      conf,
      cluster: undefined,
      pod: pod("a"),
      log: loggerTo("debug", () => undefined),
    });
    expect(found.map(({ name }) => name)).toEqual(["main"]);
  });

  test("isolation is looked at before anything is read", async () => {
    const keys = { delegates, namespaceIsolation: true, globalNamespaces: "shared,default" };
    await expect(find(keys, {}, pod("a,shared/b,other/c"))).rejects.toThrow(
      expect.objectContaining({
        reason: "NetworkNotAllowed",
        message:
          "namespace isolation enabled, annotation violates permission, pod is in namespace default but refers to target namespace other " +
          "(network c); use a network of namespace default or shared",
      }),
    );
    expect(asked).toEqual([]);
  });
});
