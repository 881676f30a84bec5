import { isObject, type JsonObject, type Manifest } from "./manifest-folder.ts";
import { ClusterError, isStaticPod, type NetworkAttachmentDefinition, type Pod } from "./port.ts";

const networkGroup = "k8s.cni.cncf.io/";
const networkVersion = "k8s.cni.cncf.io/v1";

/** metadata.namespace, which kubectl would take from its context: "default" when it is left out. */
export function namespaceOf(manifest: Manifest): string {
  const { namespace } = metadataOf(manifest);
  if (namespace === undefined || namespace === null || namespace === "") return "default";
  if (typeof namespace === "string") return namespace;
  throw invalid(manifest, "metadata.namespace must be a string", "put it in quotes");
}

/** A Pod manifest as the port gives it; one without metadata.uid gets `stableUid`. */
export function podOf(manifest: Manifest): Pod {
  const metadata = metadataOf(manifest);
  const name = nameOf(manifest);
  const namespace = namespaceOf(manifest);
  const annotations = annotationsOf(manifest);
  const uid = metadata["uid"];
  const spec = manifest.object["spec"];
  const { nodeName, hostNetwork } = isObject(spec) ? spec : {};
  return {
    namespace,
    name,
    uid: typeof uid === "string" && uid !== "" ? uid : stableUid(namespace, name),
    annotations,
    isStatic: isStaticPod(annotations),
    ...(typeof nodeName === "string" && nodeName !== "" ? { nodeName } : {}),
    ...(hostNetwork === true ? { usesHostNetwork: true } : {}),
  };
}

/** True for the NetworkAttachmentDefinitions of the Network Plumbing Working Group; another group may have a kind of that name. */
export function isNetwork(manifest: Manifest): boolean {
  return manifest.apiVersion.startsWith(networkGroup);
}

/** A NetworkAttachmentDefinition manifest as the port gives it. */
export function networkOf(manifest: Manifest): NetworkAttachmentDefinition {
  if (manifest.apiVersion !== networkVersion)
    throw invalid(manifest, `apiVersion is ${manifest.apiVersion}`, `write ${networkVersion}`);
  const spec = manifest.object["spec"] ?? {};
  if (!isObject(spec)) throw invalid(manifest, "spec must be an object", "put the CNI configuration under spec.config");
  const config = spec["config"] ?? "";
  if (typeof config !== "string")
    throw invalid(
      manifest,
      "spec.config must be a string that holds JSON, not an object",
      "write `config: |` and indent the JSON below it",
    );
  return { namespace: namespaceOf(manifest), name: nameOf(manifest), config, annotations: annotationsOf(manifest) };
}

/** metadata.name. */
export function nameOf(manifest: Manifest): string {
  const { name } = metadataOf(manifest);
  if (typeof name === "string" && name !== "") return name;
  throw invalid(manifest, "metadata.name must be a non-empty string", "generateName is not supported here");
}

function annotationsOf(manifest: Manifest): Readonly<Record<string, string>> {
  const annotations = metadataOf(manifest)["annotations"] ?? {};
  if (!isObject(annotations)) throw invalid(manifest, "metadata.annotations must be an object", "");
  for (const [key, value] of Object.entries(annotations)) {
    if (typeof value !== "string")
      throw invalid(manifest, `annotation ${key} must be a string`, "put its value in quotes or below a `|`");
  }
  return annotations as Readonly<Record<string, string>>;
}

function metadataOf(manifest: Manifest): JsonObject {
  const { metadata } = manifest.object;
  if (isObject(metadata)) return metadata;
  throw invalid(manifest, "metadata is missing", "");
}

function invalid(manifest: Manifest, problem: string, hint: string): ClusterError {
  return new ClusterError("invalid", `read ${manifest.kind} from ${manifest.source}`, problem, hint);
}

/** The uid of a pod whose manifest has none: a hash of "namespace/name" in UUID form (version 8, RFC 9562 5.8), the same on each call. */
export function stableUid(namespace: string, name: string): string {
  const hash = new Bun.CryptoHasher("sha256").update(`${namespace}/${name}`).digest("hex");
  return [
    hash.slice(0, 8),
    hash.slice(8, 12),
    `8${hash.slice(13, 16)}`,
    `a${hash.slice(17, 20)}`,
    hash.slice(20, 32),
  ].join("-");
}
