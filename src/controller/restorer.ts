import { ClusterError } from "../cluster/port.ts";
import type { Pools } from "../cluster/pools/port.ts";
import { formatIp } from "../ip/address.ts";
import type { KubeClient } from "../kube/client.ts";
import { isAlreadyExists, KubeError } from "../kube/error.ts";
import { pause } from "../libc/pause.ts";
import { reservations } from "../kube/resource.ts";
import type { Logger } from "../log/logger.ts";
import { addressOfKey, parsePoolRange } from "../pool/key.ts";
import { prefixOfPoolName, reservationName, scopedReservationName } from "../pool/names.ts";
import { type Allocation, type IpPool, metadataSchema, poolApiVersion, type Reservation } from "../pool/objects.ts";
import { addressInName } from "./holding.ts";
import type { Surveyor } from "./survey.ts";
import { useOf } from "./use.ts";

export interface RestorerOptions {
  readonly namespace: string;
  readonly pools: Pools;
  readonly surveyor: Pick<Surveyor, "pod">;
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** How long after a restoration the pod is looked at again, one look after the other. */
  readonly looksMs?: readonly number[];
}

/** By then a pod whose sandbox was really taken down has ended, or has got other addresses. */
const defaultLooksMs = [2000, 10_000, 30_000] as const;
/** When many of Go's pods end at once each asks for its pod. */
const atOnce = 8;
/** For people: when we made a reservation of Go's anew. */
const restoredAnnotation = "polynic.io/restored";

/** What became of putting something back. */
type Outcome =
  | { readonly undo: () => Promise<unknown> }
  /** Another pod has the address. */
  | { readonly holder: string }
  /** It is there, or another entry of Go is. */
  | undefined;

/** What was taken away, and how to put it there again. */
interface Loss {
  /** "reservation 10.0.0.5", "entry 5 of pool 10.0.0.0-24". */
  readonly what: string;
  readonly podref: string;
  readonly ifName: string;
  readonly address: string;
  readonly restore: () => Promise<Outcome>;
}

/**
 * Puts back what Go's reconciler takes from living pods of Go nodes, before somebody else gets their addresses: it deletes reservations of pods
 * whose entry is younger than its list of pools, and frees entries of pods that have not told their addresses yet (docs/whereabouts.md). Of the
 * same two changes a DEL of Go consists, so the pod decides; what was put back for a sandbox that is gone after all is taken away again by later
 * looks at the pod, and by the collector at last.
 */
export class Restorer {
  readonly #client: KubeClient;
  readonly #options: RestorerOptions;
  readonly #waiting: (() => Promise<void>)[] = [];
  #running = 0;

  constructor(client: KubeClient, options: RestorerOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** A reservation that Go has made was deleted. */
  reservationGone(lost: Reservation): void {
    const ip = addressInName(lost.name);
    if (ip === undefined) return;
    const { name, podref, ifName } = lost;
    const restore = async () => await this.#makeAgain(lost);
    this.#begin({ what: `reservation ${name}`, podref, ifName, address: formatIp(ip), restore });
  }

  /** An entry that Go has made was removed from a pool. */
  entryGone(pool: IpPool, key: string, entry: Allocation): void {
    const range = parsePoolRange(pool.range);
    const ip = range && addressOfKey(range, key);
    if (range === undefined || ip === undefined) return;
    const network = prefixOfPoolName(pool.name, range) ?? "";
    const names = [reservationName(ip, network), scopedReservationName(pool.name, ip)];
    const restore = async () => await this.#enterAgain(pool.name, key, entry, names);
    const { podref, ifname: ifName } = entry;
    this.#begin({ what: `entry ${key} of pool ${pool.name}`, podref, ifName, address: formatIp(ip), restore });
  }

  #begin(loss: Loss): void {
    this.#waiting.push(async () => {
      try {
        await this.#handle(loss);
      } catch (error) {
        this.#tell(loss, error);
      }
    });
    while (this.#running < atOnce && this.#waiting.length > 0) void this.#work();
  }

  async #work(): Promise<void> {
    this.#running++;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) await next();
    this.#running--;
  }

  async #handle(loss: Loss): Promise<void> {
    const { surveyor, signal, log } = this.#options;
    const { what, podref, ifName, address } = loss;
    if (signal.aborted || useOf(await surveyor.pod(podref), ifName, address) !== "yes") return;
    const outcome = await loss.restore();
    if (outcome === undefined) return;
    if ("undo" in outcome) log.verbose(`${what} was removed while pod ${podref} lives; put back`, { address });
    void this.#lookAgain(loss, outcome).catch((error: unknown) => this.#tell(loss, error));
  }

  /** A pod that a DEL of Go was for has ended by then, or has other addresses. */
  async #lookAgain({ what, podref, ifName, address }: Loss, outcome: NonNullable<Outcome>): Promise<void> {
    const { surveyor, signal, log, looksMs = defaultLooksMs } = this.#options;
    for (const ms of looksMs) {
      await pause(ms, signal);
      if (signal.aborted) return;
      const use = useOf(await surveyor.pod(podref), ifName, address);
      if ("holder" in outcome) {
        if (use === "yes")
          log.error(`duplicate: ${what} was taken from pod ${podref}, and pod ${outcome.holder} has it`);
        return;
      }
      if (use !== "no") continue;
      await outcome.undo();
      log.verbose(`${what} is taken away again: pod ${podref} does not use it`, { address });
      return;
    }
    log.error(`${what} had been removed although pod ${podref} uses it: does Go's reconciler run?`, { address });
  }

  async #makeAgain(lost: Reservation): Promise<Outcome> {
    const { namespace, pools } = this.#options;
    const { name, podref, ifName, containerId, labels } = lost;
    const annotations = { ...lost.annotations, [restoredAnnotation]: new Date().toISOString() };
    const body = {
      apiVersion: poolApiVersion,
      kind: "OverlappingRangeIPReservation",
      metadata: { name, namespace, labels, annotations },
      spec: { podref, containerid: containerId, ifname: ifName },
    };
    try {
      const target = { verb: "create", resource: reservations, namespace } as const;
      const { metadata } = await this.#client.request(target, metadataSchema, { body });
      return { undo: async () => await pools.deleteReservation(name, metadata.uid, false) };
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      const holder = await this.#holderOf([name], podref);
      return holder === undefined ? undefined : { holder };
    }
  }

  /** Only while nobody else holds the address: Go's next ADD of the pod would wait for that one's end in vain. */
  async #enterAgain(pool: string, key: string, entry: Allocation, names: readonly string[]): Promise<Outcome> {
    const { pools } = this.#options;
    const before = await this.#holderOf(names, entry.podref);
    if (before !== undefined) return { holder: before };
    if (!(await pools.patchPool(pool, [{ op: "add", key, entry }]))) return undefined;
    const undo = async () => await pools.patchPool(pool, [{ op: "remove", key, id: entry.id }]);
    const after = await this.#holderOf(names, entry.podref);
    if (after === undefined) return { undo };
    await undo();
    return { holder: after };
  }

  /** The first other pod that one of the names is reserved for. */
  async #holderOf(names: readonly string[], podref: string): Promise<string | undefined> {
    for (const name of names) {
      const holder = await this.#options.pools.getReservation(name);
      if (holder !== undefined && holder.podref !== podref) return holder.podref;
    }
    return undefined;
  }

  #tell({ what }: Loss, error: unknown): void {
    if (!(error instanceof KubeError) && !(error instanceof ClusterError)) throw error;
    this.#options.log.error(`${what} was removed, and is not put back: ${error.message}`);
  }
}
