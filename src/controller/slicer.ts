import { networkOf as definitionOf, networkSchema } from "../cluster/api-objects.ts";
import type { NetworkAttachmentDefinition } from "../cluster/port.ts";
import { formatPrefix, parsePrefix } from "../ip/prefix.ts";
import { anyObject, decode, integer, mapOf, type Schema, text } from "../json/struct.ts";
import type { KubeClient } from "../kube/client.ts";
import { isAlreadyExists, isConflict, isNotFound, isUnavailable, KubeError } from "../kube/error.ts";
import { ipPools, networks, nodes, nodeSlicePools } from "../kube/resource.ts";
import type { Logger } from "../log/logger.ts";
import {
  type IpPool,
  ipPoolOf,
  ipPoolSchema,
  type NodeSlicePool,
  nodeSlicePoolOf,
  nodeSlicePoolSchema,
  poolApiVersion,
} from "../pool/objects.ts";
import { isSliceOf, type SliceAllocation } from "./free-slices.ts";
import { type NodeFacts, nodeFactsOf, nodeFactsSchema } from "./facts.ts";
import { Mirror } from "./mirror.ts";
import { type IndexTimes, PoolSchedule } from "./pool-schedule.ts";
import { planSlices } from "./slice-plan.ts";
import { type SlicedNetwork, slicedNetworks, slicePoolName } from "./sliced-network.ts";

export interface SlicerOptions {
  /** Of the pools. */
  readonly namespace: string;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** JSON: the uid of each node that has slices, by its name. */
const ownersAnnotation = "polynic.io/slice-owners";
/** JSON: since when slices have had no node, in ms since 1970, by their ranges. */
const vacatedAnnotation = "polynic.io/slice-vacated";
const usedAnnotation = "polynic.io/used";
const ownersSchema = mapOf(text());
const vacatedSchema = mapOf(integer());
/** Slices are planned by this clock while one of them rests. */
const gapMs = 1000;
const times: IndexTimes = { gapMs: (tookMs) => Math.max(gapMs, tookMs / 2), settleMs: 0 };

/** Divides the ranges of networks with `node_slice_size` among the nodes, and keeps to that as nodes, networks and what is held change. */
export class Slicer {
  readonly #client: KubeClient;
  readonly #options: SlicerOptions;
  readonly #mark: () => void;
  readonly #nodes: Mirror<NodeFacts>;
  readonly #definitions: Mirror<NetworkAttachmentDefinition>;
  readonly #slicePools: Mirror<NodeSlicePool>;
  readonly #pools: Mirror<IpPool>;
  readonly #stop = new AbortController();
  readonly #told = new Set<string>();
  #failure: unknown;

  constructor(client: KubeClient, options: SlicerOptions) {
    this.#client = client;
    this.#options = options;
    const divide = async () => ({ isDone: await this.#divideAll(), hasAsked: true });
    const schedule = new PoolSchedule(divide, this.#signal, times);
    this.#mark = () => {
      schedule.mark().catch((error: unknown) => {
        this.#failure ??= error;
        this.#stop.abort();
      });
    };
    this.#nodes = new Mirror(({ name }) => name, this.#mark);
    this.#definitions = new Mirror(({ namespace, name }) => `${namespace}/${name}`, this.#mark);
    this.#slicePools = new Mirror(({ name }) => name, this.#mark);
    this.#pools = new Mirror(({ name }) => name, this.#mark);
  }

  /** Resolves when the signal is aborted. Rejects as `follow` does. */
  async run(): Promise<void> {
    const { namespace, log } = this.#options;
    const shared = { signal: this.#signal, log };
    const all = [
      this.#nodes.follow(this.#client, nodes, nodeFactsSchema, nodeFactsOf, shared),
      this.#definitions.follow(this.#client, networks, networkSchema, definitionOf, shared),
      this.#slicePools.follow(this.#client, nodeSlicePools, nodeSlicePoolSchema, nodeSlicePoolOf, {
        ...shared,
        namespace,
      }),
      this.#pools.follow(this.#client, ipPools, ipPoolSchema, ipPoolOf, { ...shared, namespace }),
    ];
    try {
      await Promise.all(all);
    } finally {
      this.#stop.abort();
      await Promise.allSettled(all);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  get #signal(): AbortSignal {
    return AbortSignal.any([this.#options.signal, this.#stop.signal]);
  }

  /** True when nothing is left to be written. */
  async #divideAll(): Promise<boolean> {
    if (![this.#nodes, this.#definitions, this.#slicePools, this.#pools].every(({ isComplete }) => isComplete))
      return true;
    const sliced = slicedNetworks([...this.#definitions.values()], (problem) => this.#tell(problem));
    let isDone = true;
    for (const network of sliced) {
      try {
        isDone = (await this.#divide(network)) && isDone;
      } catch (error) {
        if (!(error instanceof KubeError)) throw error;
        this.#options.log.error(`slices of ${network.name}: ${error.message}`);
        isDone &&= !isUnavailable(error);
      }
    }
    return isDone;
  }

  async #divide(network: SlicedNetwork): Promise<boolean> {
    const current = this.#slicePools.get(network.name);
    const before = {
      allocations: current?.slices ?? [],
      owners: noted(current, ownersAnnotation, ownersSchema),
      held: (allocation: SliceAllocation) => this.#held(network, allocation),
      vacatedMs: noted(current, vacatedAnnotation, vacatedSchema),
      nowMs: Date.now(),
    };
    const { layouts } = network;
    const plan = planSlices(layouts, [...this.#nodes.values()], before);
    for (const { node, range } of plan.without)
      this.#tell(`${network.source}: no slice of ${formatPrefix(range)} is left for node ${node}`);
    const annotations = {
      [ownersAnnotation]: JSON.stringify(plan.owners),
      [vacatedAnnotation]: JSON.stringify(plan.vacatedMs),
      [usedAnnotation]: useOf(network, plan.allocations),
    };
    const spec = { range: formatPrefix(layouts[0].range), sliceSize: network.sliceSize };
    const wanted = { annotations, spec, status: { allocations: plan.allocations } };
    if (current !== undefined && isSame(current, wanted)) return Object.keys(plan.vacatedMs).length === 0;
    return (await this.#write(network.name, current, wanted)) && Object.keys(plan.vacatedMs).length === 0;
  }

  /** Under the condition that nobody has written it since it was seen; false otherwise. */
  async #write(
    name: string,
    current: NodeSlicePool | undefined,
    { annotations, spec, status }: Wanted,
  ): Promise<boolean> {
    const { namespace, log } = this.#options;
    try {
      if (current === undefined) {
        const body = {
          apiVersion: poolApiVersion,
          kind: "NodeSlicePool",
          metadata: { namespace, name, annotations },
          spec,
          status: plain(status),
        };
        await this.#client.request({ verb: "create", resource: nodeSlicePools, namespace }, anyObject(), { body });
      } else {
        const { resourceVersion } = current;
        const body = { metadata: { resourceVersion, annotations }, spec, status: plain(status) };
        const target = { verb: "patch", resource: nodeSlicePools, namespace, name } as const;
        await this.#client.request(target, anyObject(), { body, contentType: "application/merge-patch+json" });
      }
    } catch (error) {
      if (isConflict(error) || isAlreadyExists(error) || isNotFound(error)) return false;
      throw error;
    }
    log.verbose(`slices of ${name}: ${annotations[usedAnnotation]} taken`);
    return true;
  }

  #held(network: SlicedNetwork, allocation: SliceAllocation): number {
    const range = parsePrefix(allocation.sliceRange);
    const pool = range && this.#pools.get(slicePoolName(network, range, allocation));
    return pool === undefined ? 0 : Object.keys(pool.allocations).length;
  }

  /** Each once. */
  #tell(problem: string): void {
    if (this.#told.has(problem)) return;
    this.#told.add(problem);
    this.#options.log.error(problem);
  }
}

interface Wanted {
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: { readonly range: string; readonly sliceSize: string };
  readonly status: { readonly allocations: readonly SliceAllocation[] };
}

/** "3 of 4 taken", and of each further range, whose free slices are not listed: "3 of fd00::/64". */
function useOf({ layouts: [, ...further] }: SlicedNetwork, allocations: readonly SliceAllocation[]): string {
  let rest = allocations;
  const uses: string[] = [];
  for (const layout of further) {
    const others = rest.filter((allocation) => !isSliceOf(layout, allocation));
    uses.push(`${rest.length - others.length} of ${formatPrefix(layout.range)}`);
    rest = others;
  }
  const taken = rest.filter(({ nodeName }) => nodeName !== "").length;
  return [`${taken} of ${rest.length}`, ...uses].join(", ");
}

/** What was written down in an annotation; nothing in what Go's controller has made. */
function noted<T>(pool: NodeSlicePool | undefined, name: string, schema: Schema<Record<string, T>>): Record<string, T> {
  const annotation = pool?.annotations[name];
  return annotation === undefined ? {} : decode(schema, JSON.parse(annotation));
}

function isSame({ annotations, range, sliceSize, slices }: NodeSlicePool, wanted: Wanted): boolean {
  return (
    Object.entries(wanted.annotations).every(([key, value]) => annotations[key] === value) &&
    range === wanted.spec.range &&
    sliceSize === wanted.spec.sliceSize &&
    Bun.deepEquals(slices, [...wanted.status.allocations])
  );
}

function plain({ allocations }: Wanted["status"]) {
  return { allocations: allocations.map((allocation) => ({ ...allocation })) };
}
