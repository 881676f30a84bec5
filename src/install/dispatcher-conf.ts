import type { PluginEntry } from "../cni/network-list.ts";
import { compareVersions, versionNumbers } from "../cni/version.ts";
import type { JsonObject } from "../json/value.ts";
import type { Primary } from "./primary.ts";

/** What the generated config says besides the default network. Empty texts are left out of it. */
export interface ConfOptions {
  /** "" for the primary's own. */
  readonly cniVersion: string;
  /** The delegate gets that version too. */
  readonly forcesVersion: boolean;
  /** The network keeps the primary's name instead of Multus' own. */
  readonly keepsName: boolean;
  /** Paths as the node has them, not the container that installs. */
  readonly kubeconfig: string;
  readonly manifests: string;
  readonly binDir: string;
  readonly networkDir: string;
  readonly cniDir: string;
  readonly readinessIndicatorFile: string;
  readonly namespaceIsolation: boolean;
  readonly globalNamespaces: string;
  readonly logFile: string;
  readonly logLevel: string;
  readonly logToStderr: boolean;
}

export interface GeneratedConf {
  /** "00-multus.conf", or "00-multus.conflist" from version 1.0.0 on, which knows no single plugins any more. */
  readonly fileName: string;
  readonly text: string;
}

const networkName = "multus-cni-network";
const listsSince = [1, 0, 0] as const;

/** The dispatcher's config with the primary as its default network, as Multus' entry point would write it. */
export function generateConf(primary: Primary, options: ConfOptions): GeneratedConf {
  const { list } = primary;
  const cniVersion = options.cniVersion || list.cniVersion;
  const delegate = options.forcesVersion ? { ...primary.config, cniVersion } : primary.config;
  const name = options.keepsName && list.name !== "" ? list.name : networkName;
  const plugin = {
    type: "multus",
    ...capabilitiesOf(list.plugins),
    ...texts(options),
    ...(options.namespaceIsolation ? { namespaceIsolation: true } : {}),
    logToStderr: options.logToStderr,
    delegates: [delegate],
  };
  const isList = compareVersions(versionNumbers(cniVersion) ?? listsSince, listsSince) >= 0;
  const conf = isList ? { cniVersion, name, plugins: [plugin] } : { cniVersion, name, ...plugin };
  return { fileName: `00-multus.${isList ? "conflist" : "conf"}`, text: `${JSON.stringify(conf, null, 2)}\n` };
}

/** What any plugin of the primary wants to be told, the runtime has to tell the dispatcher. */
function capabilitiesOf(plugins: readonly PluginEntry[]): JsonObject {
  const names = [...new Set(plugins.flatMap(({ capabilities }) => capabilities))].sort();
  return names.length === 0 ? {} : { capabilities: Object.fromEntries(names.map((name) => [name, true])) };
}

function texts(options: ConfOptions): JsonObject {
  const keys: Readonly<Record<string, string>> = {
    kubeconfig: options.kubeconfig,
    manifests: options.manifests,
    binDir: options.binDir,
    confDir: options.networkDir,
    cniDir: options.cniDir,
    readinessindicatorfile: options.readinessIndicatorFile,
    globalNamespaces: options.globalNamespaces,
    logFile: options.logFile,
    logLevel: options.logLevel,
  };
  return Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== ""));
}
