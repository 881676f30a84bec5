import { type Cluster, isClusterError, type NetworkAttachmentDefinition, type Pod } from "../cluster/port.ts";
import { CniError, code } from "../cni/error.ts";
import { extraPlugins, loadNetwork, loadNetworkFile } from "../cni/network-folder.ts";
import { inject } from "../cni/inject.ts";
import { type NetworkList, readNetwork, withPlugins } from "../cni/network-list.ts";
import { isAtLeast } from "../cni/version.ts";
import { readDirectoryIfExists, statusIfExists } from "../libc/file.ts";
import { JsonError } from "../json/error.ts";
import { isJsonObject, type JsonObject, parse } from "../json/value.ts";
import { getField } from "../json/struct.ts";
import type { Logger } from "../log/logger.ts";
import type { MultusConf } from "./config.ts";
import { DispatchError, fromCluster } from "./dispatch-error.ts";
import { resourceNameAnnotation } from "./devices.ts";
import type { NetworkSource } from "./attachment.ts";
import {
  defaultNetworkAnnotation,
  networksAnnotation,
  type NetworkSelectionElement,
  parseSelection,
  SelectionError,
} from "./selection.ts";

/** Where networks are looked up for one call. `cluster` is absent when the config names neither manifests nor an API server. */
export interface SourceInput {
  readonly conf: MultusConf;
  readonly cluster: Cluster | undefined;
  readonly pod: Pod | undefined;
  readonly log: Logger;
}

/** One network that was named, by whom it may be: what reading found of it, or why it can't be attached. */
export interface SourceOutcome {
  /** As status would name it; what the node's config says where that is not known. */
  readonly name: string;
  /** What names it: a key of the node's config, or an annotation of the pod. */
  readonly askedBy: string;
  /** Present for what the pod's annotations name. */
  readonly element?: NetworkSelectionElement;
  readonly found: NetworkSource | CniError;
}

/** Everything that reading finds out about a pod's networks. */
export interface SourceSurvey {
  /** In the order of attachment. */
  readonly outcomes: readonly SourceOutcome[];
  /** Annotations that can't be read at all; their networks are not among the outcomes. */
  readonly failures: readonly DispatchError[];
}

/**
 * All networks of a pod in the order of attachment: the default network, the node's `defaultNetworks`, the pod's own, and the
 * auxiliary chain. Without a pod (a container that no kubelet started, or STATUS and GC) only what the node's config names. Every
 * distinct definition is read once, all of them in parallel, and none of a pod that must not have one of them. Throws `DispatchError`
 * with the event that the pod should get.
 */
export async function networkSources(input: SourceInput): Promise<NetworkSource[]> {
  const wishes = readWishes(input);
  const failure = wishes.failures[0] ?? firstRefusal(input, wishes);
  if (failure !== undefined) throw failure;
  const sources: NetworkSource[] = [];
  for (const { found } of await readNetworks(input, wishes)) {
    if (found instanceof CniError) throw found;
    sources.push(found);
  }
  for (const { origin, list } of sources) for (const warning of list.warnings) input.log.error(`${origin}: ${warning}`);
  return sources;
}

/** As `networkSources`, to the end whatever fails: for a person who wants to know all about a pod. */
export async function surveySources(input: SourceInput): Promise<SourceSurvey> {
  const wishes = readWishes(input);
  return { outcomes: await readNetworks(input, wishes), failures: wishes.failures };
}

/** What the pod's annotations say. */
interface Wishes {
  /** The default network's replacement; at most one. */
  readonly override: readonly NetworkSelectionElement[];
  readonly own: readonly NetworkSelectionElement[];
  readonly failures: readonly DispatchError[];
}

function readWishes({ pod, conf }: SourceInput): Wishes {
  if (pod === undefined) return { override: [], own: [], failures: [] };
  const override = selection(pod, defaultNetworkAnnotation, conf.multusNamespace);
  const own = selection(pod, networksAnnotation, pod.namespace);
  return { override: override.elements, own: own.elements, failures: [...override.failures, ...own.failures] };
}

function firstRefusal(input: SourceInput, { override, own }: Wishes): DispatchError | undefined {
  for (const element of [...override, ...own]) {
    const refusal = foreignNamespace(input, element);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

async function readNetworks(input: SourceInput, { override, own }: Wishes): Promise<SourceOutcome[]> {
  const [defaults, replaced, wanted] = await Promise.all([
    override.length > 0 ? furtherNetworks(input) : nodeNetworks(input),
    definitions(input, override, defaultNetworkAnnotation),
    definitions(input, own, networksAnnotation),
  ]);
  return [...replaced, ...defaults, ...wanted, ...auxiliaryChain(input)];
}

/** What `find` finds, or why it does not. Only what a network can be at fault for is an outcome. */
async function outcomeOf(
  asked: Omit<SourceOutcome, "found">,
  find: () => NetworkSource | Promise<NetworkSource>,
): Promise<SourceOutcome> {
  try {
    const found = await find();
    return { ...asked, name: found.name, found };
  } catch (error) {
    if (!(error instanceof CniError)) throw error;
    return { ...asked, found: error };
  }
}

/** What the node's own config names: the default network and those that every pod outside the system namespaces gets. */
async function nodeNetworks(input: SourceInput): Promise<SourceOutcome[]> {
  const { clusterNetwork, delegates } = input.conf;
  const [delegate] = delegates;
  const first =
    clusterNetwork !== ""
      ? await namedNetwork(input, clusterNetwork, "clusterNetwork")
      : delegate && (await ofDelegate(delegate, 0));
  const further = await furtherNetworks(input);
  return first === undefined ? further : [first, ...further];
}

async function furtherNetworks(input: SourceInput): Promise<SourceOutcome[]> {
  const { clusterNetwork, delegates, defaultNetworks, systemNamespaces } = input.conf;
  const reads: Promise<SourceOutcome>[] = [];
  if (clusterNetwork === "") {
    for (const [index, config] of delegates.entries()) if (index > 0) reads.push(ofDelegate(config, index));
  } else if (input.pod !== undefined && !systemNamespaces.includes(input.pod.namespace)) {
    for (const entry of defaultNetworks) reads.push(namedNetwork(input, entry, "defaultNetworks"));
  }
  return await Promise.all(reads);
}

function ofDelegate(config: JsonObject, index: number): Promise<SourceOutcome> {
  const origin = `delegates[${index}]`;
  return outcomeOf({ name: origin, askedBy: origin }, () => {
    const list = listOf(config, origin);
    return { name: list.name, origin, list };
  });
}

/** A value of clusterNetwork or defaultNetworks: a path, or the name of a definition in multusNamespace, or of a file in confDir. */
function namedNetwork(input: SourceInput, entry: string, key: string): Promise<SourceOutcome> {
  return outcomeOf({ name: entry, askedBy: key }, () => findNamed(input, entry, key));
}

async function findNamed({ conf, cluster }: SourceInput, entry: string, key: string): Promise<NetworkSource> {
  if (entry.includes("/")) return fromPath(entry, key);
  const failed = `failed to get ${key} ${entry} in namespace ${conf.multusNamespace}: `;
  const definition = await definitionIfExists(cluster, conf.multusNamespace, entry, failed);
  if (typeof definition === "object") return fromDefinition(conf, definition);
  const list = loading(() => loadNetwork(conf.confDir, entry), `${failed}${definition}`);
  return { name: list.name, origin: `${key}: ${entry} of ${conf.confDir}`, list };
}

/** The definition; why there is none, as the beginning of a message; or a thrown `DispatchError` when it can't be read now. */
async function definitionIfExists(
  cluster: Cluster | undefined,
  namespace: string,
  name: string,
  failed: string,
): Promise<NetworkAttachmentDefinition | string> {
  if (cluster === undefined) return "";
  try {
    return await cluster.getNetwork(namespace, name);
  } catch (error) {
    if (isClusterError(error, "not-found")) return `${error.message}, and `;
    throw notReadable(error, failed);
  }
}

function notReadable(error: unknown, prefix: string): CniError {
  const failure = fromCluster(error);
  return new DispatchError("NetworkNotReadable", `${prefix}${failure.message}`, { cause: error, code: failure.code });
}

function fromPath(path: string, key: string): NetworkSource {
  const kind = statusIfExists(path)?.kind;
  if (kind === undefined) throw new DispatchError("NoNetworkFound", `${key}: there is no file ${path}`);
  const file = kind === "directory" ? firstConfig(path, key) : path;
  const list = loading(() => loadNetworkFile(file), `${key}: `);
  return { name: list.name, origin: `${key}: ${file}`, list };
}

/** What files should hold, its failure in the words of whoever named them. */
function loading<T>(load: () => T, prefix: string): T {
  try {
    return load();
  } catch (error) {
    throw new DispatchError("NoNetworkFound", `${prefix}${CniError.from(error).text}`, { cause: error });
  }
}

function firstConfig(folder: string, key: string): string {
  const found = readDirectoryIfExists(folder).find(
    ({ name, kind }) => kind !== "directory" && /\.(conf|conflist|json)$/.test(name),
  );
  if (found === undefined)
    throw new DispatchError("NoNetworkFound", `${key}: no .conf, .conflist or .json file in ${folder}`);
  return `${folder.replace(/\/+$/, "")}/${found.name}`;
}

function selection(
  pod: Pod,
  annotation: string,
  namespace: string,
): { readonly elements: readonly NetworkSelectionElement[]; readonly failures: readonly DispatchError[] } {
  const invalid = (problem: string, cause?: unknown) => ({
    elements: [],
    failures: [new DispatchError("InvalidNetworkSelection", `annotation ${annotation}: ${problem}`, { cause })],
  });
  try {
    const elements = parseSelection(pod.annotations[annotation] ?? "", namespace);
    if (annotation === networksAnnotation || elements.length <= 1) return { elements, failures: [] };
    return invalid("more than one default network is specified; name one");
  } catch (error) {
    if (!(error instanceof SelectionError)) throw error;
    return invalid(error.message, error);
  }
}

/** Isolation holds for everything that a pod's author can write; what the node's own config names is the operator's word. */
function foreignNamespace({ conf, pod }: SourceInput, element: NetworkSelectionElement): DispatchError | undefined {
  if (!conf.namespaceIsolation || pod === undefined || element.namespace === pod.namespace) return undefined;
  if (conf.globalNamespaces.includes(element.namespace)) return undefined;
  return new DispatchError(
    "NetworkNotAllowed",
    `namespace isolation enabled, annotation violates permission, pod is in namespace ${pod.namespace} but refers to target namespace ${element.namespace} ` +
      `(network ${element.name}); use a network of namespace ${[...new Set([pod.namespace, ...conf.globalNamespaces])].join(" or ")}`,
  );
}

async function definitions(
  input: SourceInput,
  elements: readonly NetworkSelectionElement[],
  annotation: string,
): Promise<SourceOutcome[]> {
  const { cluster } = input;
  if (cluster === undefined) return [];
  const reads = new Map<string, Promise<NetworkAttachmentDefinition>>();
  for (const element of elements) {
    const { namespace, name } = element;
    const key = `${namespace}/${name}`;
    if (reads.has(key) || foreignNamespace(input, element) !== undefined) continue;
    reads.set(key, cluster.getNetwork(namespace, name));
  }
  await Promise.allSettled(reads.values());
  const outcomes: SourceOutcome[] = [];
  for (const element of elements) {
    const asked = { name: `${element.namespace}/${element.name}`, askedBy: annotation, element };
    const outcome = await outcomeOf(asked, async () => {
      const refusal = foreignNamespace(input, element);
      if (refusal !== undefined) throw refusal;
      return { ...fromDefinition(input.conf, await readDefinition(reads, element)), element };
    });
    outcomes.push(outcome);
  }
  return outcomes;
}

async function readDefinition(
  reads: ReadonlyMap<string, Promise<NetworkAttachmentDefinition>>,
  { namespace, name }: NetworkSelectionElement,
): Promise<NetworkAttachmentDefinition> {
  try {
    const definition = await reads.get(`${namespace}/${name}`);
    if (definition === undefined) throw new TypeError(`network ${namespace}/${name} was not read`);
    return definition;
  } catch (error) {
    const what = `a network-attachment-definition (${name}) in namespace (${namespace}): `;
    if (!isClusterError(error, "not-found")) throw notReadable(error, `cannot read ${what}`);
    throw new DispatchError("NoNetworkFound", `cannot find ${what}${error.message}`, { cause: error });
  }
}

/** spec.config of a definition, its name injected when it has none (NPWG M3); an empty one is looked up in confDir (M2). */
function fromDefinition(conf: MultusConf, definition: NetworkAttachmentDefinition): NetworkSource {
  const name = `${definition.namespace}/${definition.name}`;
  const origin = `NetworkAttachmentDefinition ${name}`;
  const resourceName = definition.annotations[resourceNameAnnotation]?.trim() ?? "";
  const device = resourceName === "" ? {} : { resourceName };
  if (definition.config.trim() === "") {
    const prefix = `${origin} has an empty spec, so a file with its name is needed: `;
    return {
      name,
      ...device,
      origin: `${origin}, by name from ${conf.confDir}`,
      list: loading(() => loadNetwork(conf.confDir, definition.name), prefix),
    };
  }
  const { config, warnings } = readConfig(definition.config, origin);
  const named = withName(config, definition.name);
  const injected = named === config ? {} : { isNameInjected: true as const };
  return {
    name,
    ...device,
    ...injected,
    origin,
    list: { ...listOf(named, origin, definition.config), written: definition.config, warnings },
  };
}

function readConfig(
  text: string,
  origin: string,
): { readonly config: JsonObject; readonly warnings: readonly string[] } {
  try {
    const { value, warnings } = parse(text);
    if (isJsonObject(value)) return { config: value, warnings };
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new DispatchError("InvalidNetwork", `${origin}: failed to unmarshal Spec.Config: ${error.message}`, {
      cause: error,
    });
  }
  throw new DispatchError("InvalidNetwork", `${origin}: spec.config: expected a JSON object`);
}

function withName(config: JsonObject, name: string): JsonObject {
  const given = getField(config, "name");
  return given === undefined || given === null || given === "" ? inject(config, { name }) : config;
}

function listOf(config: JsonObject, origin: string, written = ""): NetworkList {
  try {
    const list = readNetwork(config);
    if (list.plugins.length > 0) return list;
    throw new CniError(code.invalidConfig, 'expected "type" for one plugin or "plugins" for a list, found neither');
  } catch (error) {
    throw new DispatchError("InvalidNetwork", `${origin}: ${CniError.from(error).locatedIn(written).message}`, {
      cause: error,
    });
  }
}

/**
 * The chain of `auxiliaryCNIChainName`: every *.conf of the folder of that name beside the clusterNetwork file, after a `passthru`
 * plugin that only starts the chain. No such files: no chain.
 */
function auxiliaryChain({ conf }: SourceInput): SourceOutcome[] {
  const { auxiliaryChainName: name, clusterNetwork } = conf;
  if (name === "") return [];
  const asked = { name, askedBy: "auxiliaryCNIChainName" };
  const isFolder = statusIfExists(clusterNetwork)?.kind === "directory";
  const folder = isFolder ? clusterNetwork.replace(/\/+$/, "") : clusterNetwork.replace(/\/[^/]*$/, "");
  const origin = `auxiliaryCNIChainName: ${folder}/${name}`;
  try {
    const more = loading(() => extraPlugins(folder, name), `${origin}: `);
    if (more.length === 0) return [];
    // A result without addresses, as passthru gives it, can't be told in older versions.
    const cniVersion = isAtLeast(conf.cniVersion, "0.3.0") ? conf.cniVersion : "0.3.0";
    const first = readNetwork({ cniVersion, name, plugins: [{ type: "passthru" }] });
    return [{ ...asked, found: { name, origin, list: withPlugins(first, more), isAuxiliary: true } }];
  } catch (error) {
    if (!(error instanceof CniError)) throw error;
    return [{ ...asked, found: error }];
  }
}
