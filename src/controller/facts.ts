import { decode, array, type Infer, mapOf, optional, stringList, struct, text, flag } from "../json/struct.ts";
import { JsonError } from "../json/error.ts";
import { isStaticPod, networkStatusKey } from "../cluster/port.ts";
import { formatIp, parseIp } from "../ip/address.ts";

/** What decides whether a pod still uses its addresses. */
export interface PodFacts {
  /** namespace/name. */
  readonly ref: string;
  readonly uid: string;
  /** "" where nobody tells: pods of manifests. */
  readonly phase: string;
  /** Somebody has deleted it, and it is being ended. */
  readonly isTerminating: boolean;
  readonly node: string;
  /** Kubelet's own files are its source: the uid is not the one that the runtime knows. */
  readonly isStatic: boolean;
  /** What kubelet says of the sandbox (condition PodReadyToStartContainers); undefined where it does not. */
  readonly hasSandbox: boolean | undefined;
  /** Addresses by interface, as the network-status annotation has them; empty as long as there is none. */
  readonly addresses: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Whether a node can still run what it was given. */
export interface NodeFacts {
  readonly name: string;
  readonly uid: string;
  readonly isReady: boolean;
  /** An administrator says that nothing runs there any more (taint node.kubernetes.io/out-of-service). */
  readonly isOutOfService: boolean;
}

const condition = struct({ type: optional(text(), ""), status: optional(text(), "") });

/** What is read of a pod (core/v1). */
export const podFactsSchema = struct({
  metadata: struct({
    namespace: optional(text(), "default"),
    name: text(),
    uid: optional(text(), ""),
    annotations: optional(mapOf(text()), {}),
    deletionTimestamp: optional(text(), ""),
  }),
  spec: optional(struct({ nodeName: optional(text(), "") }), {}),
  status: optional(struct({ phase: optional(text(), ""), conditions: optional(array(condition), []) }), {}),
});

/** What is read of a node (core/v1). */
export const nodeFactsSchema = struct({
  metadata: struct({ name: text(), uid: optional(text(), "") }),
  spec: optional(struct({ taints: optional(array(struct({ key: optional(text(), "") })), []) }), {}),
  status: optional(struct({ conditions: optional(array(condition), []) }), {}),
});

const statusSchema = array(
  struct({
    interface: optional(text(), ""),
    default: optional(flag(), false),
    ips: optional(stringList(), []),
  }),
);

/** The facts of a pod. */
export function podFactsOf({ metadata, spec, status }: Infer<typeof podFactsSchema>): PodFacts {
  const { namespace, name, uid, annotations, deletionTimestamp } = metadata;
  const sandbox = status.conditions.find(({ type }) => type === "PodReadyToStartContainers");
  return {
    ref: `${namespace}/${name}`,
    uid,
    phase: status.phase,
    isTerminating: deletionTimestamp !== "",
    node: spec.nodeName,
    isStatic: isStaticPod(annotations),
    hasSandbox: sandbox === undefined ? undefined : sandbox.status === "True",
    addresses: addressesOf(annotations[networkStatusKey] ?? ""),
  };
}

/** The facts of a node. */
export function nodeFactsOf({ metadata: { name, uid }, spec, status }: Infer<typeof nodeFactsSchema>): NodeFacts {
  return {
    name,
    uid,
    isReady: status.conditions.some(({ type, status: state }) => type === "Ready" && state === "True"),
    isOutOfService: spec.taints.some(({ key }) => key === "node.kubernetes.io/out-of-service"),
  };
}

/** Addresses by interface out of a network-status annotation; none when it is missing or no such list. */
export function addressesOf(annotation: string): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  if (annotation === "") return found;
  try {
    for (const { interface: name, ips } of decode(statusSchema, JSON.parse(annotation))) {
      const canonical = ips.flatMap((each) => parseIp(each) ?? []).map(formatIp);
      found.set(name, new Set([...(found.get(name) ?? []), ...canonical]));
    }
  } catch (error) {
    if (!(error instanceof JsonError) && !(error instanceof SyntaxError)) throw error;
  }
  return found;
}
