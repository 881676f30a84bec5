import { code, CniError } from "../cni/error.ts";
import { isNetworkName } from "../cni/names.ts";
import type { NetConf } from "../cni/net-conf.ts";
import type { CniVersion } from "../cni/version.ts";
import { JsonError } from "../json/error.ts";
import {
  anyObject,
  array,
  decode,
  flag,
  getField,
  type Infer,
  integer,
  mapOf,
  optional,
  picklist,
  struct,
  text,
} from "../json/struct.ts";
import type { JsonObject } from "../json/value.ts";
import { type LogOptions, parseLogLevel } from "../log/open.ts";
import type { MissingCapabilityPolicy } from "./capabilities.ts";
import { defaultCniDir } from "./paths.ts";

/** The dispatcher's configuration: every key of Multus' thin netconf, and polynic's own (docs/configuration.md lists them all). */
export interface MultusConf {
  /** The version of the auxiliary chain's configs. */
  readonly cniVersion: CniVersion;
  readonly confDir: string;
  readonly cniDir: string;
  readonly binDir: string;
  /** A directory of Kubernetes YAML in place of an API server; undefined when the key is absent. */
  readonly manifests: string | undefined;
  /** Path of the credentials for an API server; "" for none. */
  readonly kubeconfig: string;
  /** How long each request to the API server may take, with everything that is tried again for it. */
  readonly apiTimeoutMs: number;
  /** Kubelet's root directory, where it tells of the devices that it has assigned. */
  readonly kubeletDir: string;
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
  readonly missingCapability: MissingCapabilityPolicy;
  readonly log: LogOptions;
  /** One line for each value that was passed over. */
  readonly warnings: readonly string[];
}

const schema = struct({
  // The runtime acts on it; a wrong type is refused as Multus refuses it.
  capabilities: optional(mapOf(flag()), {}),
  confDir: optional(text(), "/etc/cni/multus/net.d"),
  cniDir: optional(text(), defaultCniDir),
  binDir: optional(text(), "/opt/cni/bin"),
  manifests: optional(text()),
  kubeconfig: optional(text(), ""),
  apiTimeout: optional(integer({ min: 1, max: 300 }), 10),
  kubeletDir: optional(text(), ""),
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
  missingCapability: optional(picklist(["warn", "fail", "ignore"] satisfies MissingCapabilityPolicy[]), "warn"),
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
export function parseMultusConf({ raw, cniVersion }: NetConf): MultusConf {
  const keys = decodeKeys(raw);
  if (keys.delegates.length === 0 && keys.clusterNetwork === "") {
    throw refusal("at least one delegate/clusterNetwork must be specified: it gives pods their default network");
  }
  if (keys.clusterNetwork === "")
    for (const [index, delegate] of keys.delegates.entries()) checkDelegate(delegate, index);
  checkAuxiliaryChain(keys.auxiliaryCNIChainName, keys.clusterNetwork);
  return fromKeys(keys, cniVersion);
}

/**
 * What DEL and GC go by when `parseMultusConf` refuses the config: everything that can be read from it, without the keys that don't fit.
 * They still have to find the journal, and to execute the plugins that made the attachments.
 */
export function salvageConf({ raw, cniVersion }: NetConf): MultusConf {
  const sound = Object.fromEntries(
    Object.entries(raw).filter(([name, value]) => {
      try {
        decode(schema, { [name]: value });
        return true;
      } catch (error) {
        if (!(error instanceof JsonError)) throw error;
        return false;
      }
    }),
  );
  return fromKeys(decode(schema, sound), cniVersion);
}

function decodeKeys(raw: JsonObject): Infer<typeof schema> {
  try {
    return decode(schema, raw);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw refusal(error.message, error);
  }
}

function fromKeys(keys: Infer<typeof schema>, cniVersion: CniVersion): MultusConf {
  const level = parseLogLevel(keys.logLevel);
  const globals: string[] = [];
  for (const part of keys.globalNamespaces.split(",")) if (part.trim() !== "") globals.push(part.trim());
  return {
    cniVersion,
    confDir: keys.confDir || "/etc/cni/multus/net.d",
    cniDir: keys.cniDir || defaultCniDir,
    binDir: keys.binDir || "/opt/cni/bin",
    manifests: keys.manifests === "" ? undefined : keys.manifests,
    kubeconfig: keys.kubeconfig,
    apiTimeoutMs: keys.apiTimeout * 1000,
    kubeletDir: keys.kubeletDir || "/var/lib/kubelet",
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
    missingCapability: keys.missingCapability,
    log: {
      level: level ?? "error",
      file: keys.logFile,
      toStderr: keys.logToStderr,
      format: keys.logFormat,
      maxSizeMb: keys.logOptions.maxSize,
      maxAgeDays: keys.logOptions.maxAge,
      maxBackups: keys.logOptions.maxBackups,
      compress: keys.logOptions.compress,
    },
    warnings:
      level !== undefined || keys.logLevel === ""
        ? []
        : [
            `multus config: $.logLevel: ${JSON.stringify(keys.logLevel)} is none of debug, verbose, error, panic; error it is`,
          ],
  };
}

function checkDelegate(delegate: JsonObject, index: number): void {
  const type = getField(delegate, "type");
  const plugins = getField(delegate, "plugins");
  const where = `$.delegates[${index}]`;
  if (typeof type === "string" && type !== "") return;
  if (!Array.isArray(plugins)) {
    throw refusal(
      `${where}: delegate must have the 'type' or 'plugin' field: "type" for one plugin, "plugins" for a list`,
    );
  }
  if (plugins.length === 0) throw refusal(`${where}.plugins: the list is empty; name at least one plugin`);
}

function checkAuxiliaryChain(name: string, clusterNetwork: string): void {
  if (name === "") return;
  if (!clusterNetwork.includes("/")) {
    throw refusal(
      "$.auxiliaryCNIChainName: auxiliary chain used but ClusterNetwork must be a path: the chain's files lie beside it",
    );
  }
  if (!isNetworkName(name)) {
    throw refusal(
      `$.auxiliaryCNIChainName: expected a network name, which a folder bears too, found ${JSON.stringify(name)}`,
    );
  }
}

function refusal(problem: string, cause?: Error): CniError {
  return new CniError(code.invalidConfig, `multus config: ${problem}`, "", { cause });
}
