import { isObject, ManifestFolder, type Manifest } from "../cluster/manifest-folder.ts";
import { nameOf, namespaceOf } from "../cluster/manifest-objects.ts";
import type { PodIdentity } from "../cluster/port.ts";
import type { JsonObject } from "../json/value.ts";
import { InputError } from "./play-error.ts";

const portMax = 65_535;
const protocols = ["TCP", "UDP", "SCTP"] as const;

/**
 * The ports of the node that pods ask for by `hostPort` of their containers' ports, as kubelet has a runtime hand them to the default network:
 * capability argument `portMappings`, whose protocols are in lower case.
 */
export class HostPorts {
  readonly #byPod = new Map<string, JsonObject[]>();

  /** Reads the pods of manifest files and directories. Throws `InputError` for a port that can't be. */
  constructor(paths: readonly string[]) {
    // What can't be read at all is for whoever reads the pods themselves to tell.
    for (const manifest of new ManifestFolder(paths, true).list("Pod", () => {})) {
      const key = keyOf({ namespace: namespaceOf(manifest), name: nameOf(manifest) });
      const ports = portsOf(manifest);
      // Of two objects with one name the first counts.
      if (!this.#byPod.has(key)) this.#byPod.set(key, ports);
    }
  }

  /** Those of a pod; none for one that asks for none. */
  of(pod: PodIdentity): readonly JsonObject[] {
    return this.#byPod.get(keyOf(pod)) ?? [];
  }
}

function keyOf({ namespace, name }: PodIdentity): string {
  return `${namespace}/${name}`;
}

function portsOf(manifest: Manifest): JsonObject[] {
  const { spec } = manifest.object;
  const mappings: JsonObject[] = [];
  for (const container of listOf(isObject(spec) ? spec["containers"] : undefined)) {
    for (const port of listOf(container["ports"])) {
      const { hostPort, containerPort, protocol = "TCP", hostIP = "" } = port;
      if (hostPort === undefined || hostPort === null || hostPort === 0) continue;
      const known = protocols.find((each) => each === protocol);
      if (!isPort(hostPort) || !isPort(containerPort) || known === undefined || typeof hostIP !== "string")
        throw new InputError(
          `${manifest.source}: the port ${JSON.stringify(port)} can't be: expected hostPort and containerPort from 1 to ${portMax}, and protocol ${protocols.join(", ")}`,
        );
      mappings.push({ hostPort, containerPort, protocol: known.toLowerCase(), ...(hostIP === "" ? {} : { hostIP }) });
    }
  }
  return mappings;
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= portMax;
}

function listOf(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}
