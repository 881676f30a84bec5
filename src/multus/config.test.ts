import { describe, expect, test } from "vitest";
import { parseNetConf } from "../cni/net-conf.ts";
import { type MultusConf, parseMultusConf, salvageConf } from "./config.ts";

const delegates = [{ name: "main", type: "bridge" }];

function netConf(keys: object) {
  return parseNetConf(JSON.stringify({ cniVersion: "1.0.0", name: "multi", type: "multus", ...keys }), "ADD").conf;
}

function parsed(keys: object): MultusConf {
  return parseMultusConf(netConf({ delegates, ...keys }));
}

test("what a config leaves out has Multus' defaults", () => {
  expect(parsed({})).toMatchObject({
    cniVersion: "1.0.0",
    confDir: "/etc/cni/multus/net.d",
    cniDir: "/var/lib/cni/multus",
    binDir: "/opt/cni/bin",
    manifests: undefined,
    kubeconfig: "",
    clusterNetwork: "",
    defaultNetworks: [],
    multusNamespace: "kube-system",
    systemNamespaces: ["kube-system"],
    namespaceIsolation: false,
    globalNamespaces: ["default"],
    readinessIndicatorFile: "",
    auxiliaryChainName: "",
    runtimeConfig: {},
    execPlugins: [],
    delegateTimeoutMs: 120_000,
    log: {
      level: "error",
      file: "/var/log/multus.log",
      toStderr: true,
      format: "text",
      maxSizeMb: 100,
      maxAgeDays: 5,
      maxBackups: 5,
      compress: true,
    },
    warnings: [],
  });
});

test.each<[string, object, object]>([
  [
    "an empty directory is the default one",
    { confDir: "", cniDir: "", binDir: "" },
    { confDir: "/etc/cni/multus/net.d", cniDir: "/var/lib/cni/multus", binDir: "/opt/cni/bin" },
  ],
  [
    "null is the default",
    { confDir: null, namespaceIsolation: null, logOptions: null },
    { confDir: "/etc/cni/multus/net.d", namespaceIsolation: false },
  ],
  [
    "a list of global namespaces replaces the implicit one, blanks aside",
    { globalNamespaces: " a, b ,,c" },
    { globalNamespaces: ["a", "b", "c"] },
  ],
  [
    "an empty list of system namespaces is the default one",
    { systemNamespaces: [] },
    { systemNamespaces: ["kube-system"] },
  ],
  [
    "names match in any letter case",
    { CONFDIR: "/x", NamespaceIsolation: true, ReadinessIndicatorFile: "/r" },
    { confDir: "/x", namespaceIsolation: true, readinessIndicatorFile: "/r" },
  ],
  ["of two spellings the last counts", { confDir: "/x", CONFDIR: "/y" }, { confDir: "/y" }],
  ["levels match in any letter case", { logLevel: "DEBUG" }, { log: { level: "debug" }, warnings: [] }],
  [
    "an unknown level is told (Multus only prints it)",
    { logLevel: "loud" },
    {
      log: { level: "error" },
      warnings: ['multus config: $.logLevel: "loud" is none of debug, verbose, error, panic; error it is'],
    },
  ],
  [
    "log options count in every process (BUG 1.2: thin Multus forgets them)",
    { logFile: "/l", logOptions: { maxAge: 1, maxSize: 2, maxBackups: 3, compress: false } },
    { log: { file: "/l", maxAgeDays: 1, maxSizeMb: 2, maxBackups: 3, compress: false } },
  ],
  ["a timeout in seconds", { delegateTimeout: 7 }, { delegateTimeoutMs: 7000 }],
  ["keys that nobody knows are ignored", { cniConf: "/x", masterplugin: 5, allowTryDeleteOnErr: [] }, {}],
  [
    "clusterNetwork makes delegates needless, and unread",
    { delegates: [{}], clusterNetwork: "x" },
    { clusterNetwork: "x" },
  ],
])("%s", (_, keys, want) => {
  expect(parsed(keys)).toMatchObject(want);
});

test.each<[string, object, string]>([
  ["no network", { delegates: undefined }, "at least one delegate/clusterNetwork must be specified"],
  ["delegates that are no list", { delegates: {} }, "$.delegates: expected an array"],
  ["a delegate that is no object", { delegates: ["x"] }, "$.delegates[0]: expected an object"],
  [
    "an empty list of plugins (BUG 1.2: Multus crashes)",
    { delegates: [delegates[0], { plugins: [] }] },
    "$.delegates[1].plugins: the list is empty",
  ],
  [
    "neither type nor plugins",
    { delegates: [{ type: "" }] },
    "$.delegates[0]: delegate must have the 'type' or 'plugin' field",
  ],
  ["a network that is a number", { clusterNetwork: 1 }, "$.clusterNetwork: expected a string, found 1"],
  ["a default network that is none", { defaultNetworks: ["a", 2] }, "$.defaultNetworks[1]: expected a string, found 2"],
  [
    "capabilities that are no switches",
    { capabilities: { ips: "yes" } },
    '$.capabilities.ips: expected true or false, found "yes"',
  ],
  ["runtimeConfig that is a list", { runtimeConfig: [] }, "$.runtimeConfig: expected an object"],
  [
    "a chain without a path",
    { clusterNetwork: "x", auxiliaryCNIChainName: "y" },
    "auxiliary chain used but ClusterNetwork must be a path",
  ],
  [
    "a chain that could lead elsewhere",
    { clusterNetwork: "/x/y", auxiliaryCNIChainName: "../z" },
    '$.auxiliaryCNIChainName: expected a network name, which a folder bears too, found "../z"',
  ],
  ["a log format of its own", { logFormat: "xml" }, "$.logFormat: expected one of"],
  ["a negative log size", { logOptions: { maxSize: -1 } }, "$.logOptions.maxSize: expected an integer of at least 0"],
])("%s is refused with its place", (_, keys, message) => {
  expect(() => parsed(keys)).toThrow(
    expect.objectContaining({ code: 7, message: expect.stringContaining(`multus config: `) as unknown }),
  );
  expect(() => parsed(keys)).toThrow(message);
});

describe("what DEL and GC salvage of a config that is refused", () => {
  test("is everything that can be read", () => {
    const conf = salvageConf(
      netConf({
        delegates: 5,
        cniDir: "/c",
        confDir: [],
        execPlugins: ["macvlan"],
        delegateTimeout: 9,
        logFile: 7,
        clusterNetwork: "/x/y",
      }),
    );
    expect(conf).toMatchObject({
      delegates: [],
      cniDir: "/c",
      confDir: "/etc/cni/multus/net.d",
      execPlugins: ["macvlan"],
      delegateTimeoutMs: 9000,
      clusterNetwork: "/x/y",
      log: { file: "/var/log/multus.log" },
    });
  });

  test("is the defaults when nothing fits", () => {
    expect(salvageConf(netConf({ cniDir: 1, binDir: {} }))).toMatchObject({
      cniDir: "/var/lib/cni/multus",
      delegates: [],
    });
  });
});
