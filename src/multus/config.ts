import { array, optional, picklist } from "valibot";
import { code, CniError } from "../cni/error.ts";
import type { NetConf } from "../cni/net-conf.ts";
import { JsonError } from "../json/error.ts";

import { decode, type Infer, flag, getField, integer, struct, text, anyObject } from "../json/struct.ts";
import type { JsonObject } from "../json/value.ts";
import { type LogOptions, parseLogLevel } from "../log/open.ts";

/** The dispatcher's configuration: every key of Multus' thin netconf, and polynic's own (docs/configuration.md lists them all). */
export interface MultusConf {
  readonly confDir: string;
  readonly cniDir: string;
  readonly binDir: string;
  /** A directory of Kubernetes YAML in place of an API server; undefined when the key is absent. */
  readonly manifests: string | undefined;
  readonly kubeconfig: string;
  readonly delegates: readonly JsonObject[];
  readonly clusterNetwork: string;
  readonly defaultNetworks: readonly string[];
  readonly multusNamespace: string;
  readonly systemNamespaces: readonly string[];
  readonly namespaceIsolation: boolean;
  /** Namespaces whose networks every pod may use although isolation is on. */
  readonly globalNamespaces: readonly string[];
  readonly readinessIndicatorFile: string;
  readonly auxiliaryChainName: string;
  readonly runtimeConfig: JsonObject;
  readonly execPlugins: readonly string[];
  readonly delegateTimeoutMs: number;
  readonly log: LogOptions;
}

const schema = struct({
  confDir: optional(text(), "/etc/cni/multus/net.d"),
  cniDir: optional(text(), "/var/lib/cni/multus"),
  binDir: optional(text(), "/opt/cni/bin"),
  manifests: optional(text()),
  kubeconfig: optional(text(), ""),
  delegates: optional(array(anyObject()), []),
  clusterNetwork: optional(text(), ""),
  defaultNetworks: optional(array(text()), []),
  multusNamespace: optional(text(), ""),
  systemNamespaces: optional(array(text())),
  namespaceIsolation: optional(flag(), false),
  globalNamespaces: optional(text(), ""),
  readinessindicatorfile: optional(text(), ""),
  auxiliaryCNIChainName: optional(text(), ""),
  // Read for its type alone: the journal is always kept until every attachment is gone.
  retryDeleteOnError: optional(flag(), false),
  runtimeConfig: optional(anyObject(), {}),
  execPlugins: optional(array(text()), []),
  delegateTimeout: optional(integer({ min: 1, max: 3600 }), 120),
  logLevel: optional(text(), ""),
  logFile: optional(text(), "/var/log/multus.log"),
  logToStderr: optional(flag(), true),
  logFormat: optional(picklist(["text", "json"]), "text"),
  logOptions: optional(
    struct({
      maxAge: optional(integer({ min: 0 }), 5),
      maxSize: optional(integer({ min: 0 }), 100),
      maxBackups: optional(integer({ min: 0 }), 5),
      compress: optional(flag(), true),
    }),
    {},
  ),
});

/**
 * Reads the dispatcher's config. A default network must be named by `delegates` or `clusterNetwork`, and each delegate needs `type` or
 * a non-empty `plugins`; otherwise, and for wrong types, throws `CniError` code 7 with the JSON path.
 */
export function parseMultusConf(conf: NetConf): MultusConf {
  let keys;
  try {
    keys = decode(schema, conf.raw);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new CniError(code.invalidConfig, `multus config: ${error.message}`, "", { cause: error });
  }
  if (keys.delegates.length === 0 && keys.clusterNetwork === "") {
    throw new CniError(
      code.invalidConfig,
      "multus config: at least one delegate/clusterNetwork must be specified: it gives pods their default network",
    );
  }
  if (keys.clusterNetwork === "") keys.delegates.forEach(checkDelegate);
  return fromKeys(keys);
}

function fromKeys(keys: Infer<typeof schema>): MultusConf {
  const globals = keys.globalNamespaces
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  return {
    confDir: keys.confDir || "/etc/cni/multus/net.d",
    cniDir: keys.cniDir || "/var/lib/cni/multus",
    binDir: keys.binDir || "/opt/cni/bin",
    manifests: keys.manifests === "" ? undefined : keys.manifests,
    kubeconfig: keys.kubeconfig,
    delegates: keys.delegates,
    clusterNetwork: keys.clusterNetwork,
    defaultNetworks: keys.defaultNetworks,
    multusNamespace: keys.multusNamespace || "kube-system",
    systemNamespaces: keys.systemNamespaces?.length ? keys.systemNamespaces : ["kube-system"],
    namespaceIsolation: keys.namespaceIsolation,
    globalNamespaces: globals.length === 0 ? ["default"] : globals,
    readinessIndicatorFile: keys.readinessindicatorfile,
    auxiliaryChainName: keys.auxiliaryCNIChainName,
    runtimeConfig: keys.runtimeConfig,
    execPlugins: keys.execPlugins,
    delegateTimeoutMs: keys.delegateTimeout * 1000,
    log: {
      level: parseLogLevel(keys.logLevel) ?? "error",
      file: keys.logFile,
      toStderr: keys.logToStderr,
      format: keys.logFormat,
      maxSizeMb: keys.logOptions.maxSize,
      maxAgeDays: keys.logOptions.maxAge,
      maxBackups: keys.logOptions.maxBackups,
      compress: keys.logOptions.compress,
    },
  };
}

/**
 * What DEL and GC go by when the config no longer parses: the paths that can still be read from it, and defaults. There is no default
 * network in it, so only what the journal and the caches tell is deleted.
 */
export function salvageConf(raw: JsonObject): MultusConf {
  const text = (key: string): JsonObject => {
    const value = getField(raw, key);
    return typeof value === "string" && value !== "" ? { [key]: value } : {};
  };
  const keys = decode(schema, { ...text("cniDir"), ...text("binDir"), ...text("logFile") });
  return fromKeys(keys);
}

function checkDelegate(delegate: JsonObject, index: number): void {
  const type = getField(delegate, "type");
  const plugins = getField(delegate, "plugins");
  const where = `multus config: $.delegates[${index}]`;
  if (typeof type === "string" && type !== "") return;
  if (!Array.isArray(plugins))
    throw new CniError(
      code.invalidConfig,
      `${where}: delegate must have the 'type' or 'plugin' field: "type" for one plugin, "plugins" for a list`,
    );
  if (plugins.length === 0)
    throw new CniError(code.invalidConfig, `${where}.plugins: the list is empty; name at least one plugin`);
}
