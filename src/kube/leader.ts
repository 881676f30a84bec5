import { type Infer, integer, optional, struct, text } from "../json/struct.ts";
import type { JsonObject } from "../json/value.ts";
import type { Logger } from "../log/logger.ts";
import type { KubeClient } from "./client.ts";
import { isAlreadyExists, isConflict, isNotFound, KubeError } from "./error.ts";
import { leases } from "./resource.ts";
import { pause } from "../libc/pause.ts";

export interface LeaderOptions {
  readonly namespace: string;
  /** Of the Lease (coordination.k8s.io/v1) that candidates compete for. */
  readonly name: string;
  /** Who this candidate is; no two processes may ever say the same. */
  readonly identity: string;
  /** Ends candidature and leadership. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly times?: LeaderTimes;
}

/** Those of client-go's leaderelection; `leaseMs` > `renewWithinMs` > `retryMs`, and `leaseMs` counts in whole seconds. */
export interface LeaderTimes {
  /** How long others wait after the last renewal that they have seen. */
  readonly leaseMs: number;
  /** How long a leader tries to renew before it gives up: less than `leaseMs`, so that it has stopped when another one begins. */
  readonly renewWithinMs: number;
  /** Between renewals, and between looks at another one's Lease. */
  readonly retryMs: number;
}

const defaultTimes: LeaderTimes = { leaseMs: 15_000, renewWithinMs: 10_000, retryMs: 2000 };

const leaseSchema = struct({
  metadata: struct({ resourceVersion: text() }),
  spec: optional(
    struct({
      holderIdentity: optional(text(), ""),
      leaseDurationSeconds: optional(integer(), 0),
      leaseTransitions: optional(integer(), 0),
      acquireTime: optional(text(), ""),
      renewTime: optional(text(), ""),
    }),
    {},
  ),
});

type Lease = Infer<typeof leaseSchema>;

/**
 * Runs `work` whenever this process holds the Lease, until `options.signal` is aborted; then gives the Lease back, so that the next one
 * need not wait. The signal that `work` gets is aborted when the Lease could not be renewed in time: `work` is to end soon then, and is
 * waited for before this process is a candidate again. The protocol is client-go's, so that Go candidates may compete for the same Lease: clocks
 * of machines are never compared, what counts is how long a candidate has seen the Lease unchanged. A Lease does not fence: whatever `work` writes
 * needs preconditions of its own. Rejects as `work` does, and with a `KubeError` that waiting does not cure (missing rights).
 */
export async function lead(
  client: KubeClient,
  options: LeaderOptions,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const candidate = new Candidate(client, options);
  const { signal, log, identity } = options;
  while (!signal.aborted) {
    if (await candidate.tries()) {
      log.verbose(`leading as ${identity}`);
      try {
        await candidate.leads(work);
      } finally {
        await candidate.resigns();
        log.verbose(`leading no more as ${identity}`);
      }
    }
    await pause(candidate.times.retryMs * (1 + Math.random() / 5), signal);
  }
}

class Candidate {
  readonly times: LeaderTimes;
  readonly #client: KubeClient;
  readonly #options: LeaderOptions;
  /** The Lease as it was last seen or written, and when it was first seen so. */
  #seen: { readonly lease: Lease; readonly atMs: number } | undefined;

  constructor(client: KubeClient, options: LeaderOptions) {
    this.#client = client;
    this.#options = options;
    this.times = options.times ?? defaultTimes;
  }

  /** True when the Lease is ours now. Trouble on the way is no leadership; missing rights are thrown. */
  async tries(): Promise<boolean> {
    try {
      const lease = await this.#read();
      if (lease === undefined) return await this.#create();
      return this.#isFree(lease) && (await this.#write(lease, lease.spec.holderIdentity !== this.#options.identity));
    } catch (error) {
      if (!passes(error)) throw error;
      this.#options.log.verbose(`can't become the leader now: ${error.message}`);
      return false;
    }
  }

  /** Runs `work` and renews the Lease beside it. Returns when `work` has ended, which losing the Lease asks it to do. */
  async leads(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const lost = new AbortController();
    const done = new AbortController();
    const renewal = this.#renews(AbortSignal.any([done.signal, this.#options.signal])).finally(() => lost.abort());
    try {
      await work(AbortSignal.any([lost.signal, this.#options.signal]));
    } finally {
      done.abort();
      await renewal;
    }
  }

  /** Writes an empty holder, if the Lease is still ours; what can't be written now expires by itself. */
  async resigns(): Promise<void> {
    const lease = this.#seen?.lease;
    if (lease?.spec.holderIdentity !== this.#options.identity) return;
    try {
      const spec = { ...lease.spec, holderIdentity: "", leaseDurationSeconds: 1, renewTime: microTime() };
      await this.#put(lease, spec);
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
    }
  }

  /** Returns when the signal is aborted or the Lease is lost. */
  async #renews(signal: AbortSignal): Promise<void> {
    let renewedMs = performance.now();
    while (!signal.aborted) {
      await pause(this.times.retryMs, signal);
      if (signal.aborted) return;
      try {
        const lease = this.#seen?.lease;
        if (lease === undefined || !(await this.#write(lease, false))) {
          // Somebody else wrote: a candidate that took it, or an administrator's label.
          const current = await this.#read();
          if (current?.spec.holderIdentity !== this.#options.identity)
            return this.#loses("another one holds the Lease");
          continue;
        }
        renewedMs = performance.now();
      } catch (error) {
        if (!passes(error)) throw error;
        this.#options.log.verbose(`the Lease was not renewed: ${error.message}`);
      }
      if (performance.now() - renewedMs > this.times.renewWithinMs)
        return this.#loses(`not renewed for ${this.times.renewWithinMs / 1000} s`);
    }
  }

  #loses(why: string): void {
    this.#options.log.error(`${this.#options.identity} lost the leadership: ${why}`);
  }

  async #read(): Promise<Lease | undefined> {
    try {
      const lease = await this.#client.request({ ...this.#target, verb: "get" }, leaseSchema, this.#limit);
      if (this.#seen?.lease.metadata.resourceVersion !== lease.metadata.resourceVersion) this.#see(lease);
      return lease;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** A holder that has said for how long it wants it, and was seen for less than that, still has it. */
  #isFree({ spec }: Lease): boolean {
    if (spec.holderIdentity === "" || spec.holderIdentity === this.#options.identity) return true;
    return performance.now() - (this.#seen?.atMs ?? 0) > spec.leaseDurationSeconds * 1000;
  }

  async #create(): Promise<boolean> {
    const { namespace, name } = this.#options;
    const body = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { namespace, name },
      spec: this.#spec({ acquireTime: microTime(), leaseTransitions: 0 }),
    };
    try {
      const target = { verb: "create", resource: leases, namespace } as const;
      this.#see(await this.#client.request(target, leaseSchema, { ...this.#limit, body }));
      return true;
    } catch (error) {
      if (isAlreadyExists(error)) return false;
      throw error;
    }
  }

  /** False when somebody else has written in between. */
  async #write(lease: Lease, isTaken: boolean): Promise<boolean> {
    const { acquireTime, leaseTransitions } = lease.spec;
    try {
      const since = isTaken
        ? { acquireTime: microTime(), leaseTransitions: leaseTransitions + 1 }
        : { acquireTime, leaseTransitions };
      this.#see(await this.#put(lease, this.#spec(since)));
      return true;
    } catch (error) {
      if (isConflict(error) || isNotFound(error)) return false;
      throw error;
    }
  }

  #spec(since: { readonly acquireTime: string; readonly leaseTransitions: number }): JsonObject {
    return {
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: Math.ceil(this.times.leaseMs / 1000),
      renewTime: microTime(),
      ...since,
    };
  }

  async #put({ metadata: { resourceVersion } }: Lease, spec: JsonObject): Promise<Lease> {
    const { namespace, name } = this.#options;
    const body = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { namespace, name, resourceVersion },
      spec,
    };
    return await this.#client.request({ ...this.#target, verb: "update" }, leaseSchema, { ...this.#limit, body });
  }

  #see(lease: Lease): void {
    this.#seen = { lease, atMs: performance.now() };
  }

  get #target() {
    const { namespace, name } = this.#options;
    return { resource: leases, namespace, name };
  }

  /** One attempt must leave time for another before the Lease is lost. */
  get #limit() {
    return { atMostMs: this.times.renewWithinMs / 2 };
  }
}

/** Trouble that may pass; not missing rights, nor a namespace that does not exist. */
function passes(error: unknown): error is KubeError {
  if (!(error instanceof KubeError)) return false;
  const { kind, status } = error;
  if (kind === "unreachable" || kind === "timeout" || kind === "tls") return true;
  return status !== undefined && (status.code === 409 || status.code === 429 || status.code >= 500);
}

/** metav1.MicroTime. */
function microTime(): string {
  return new Date().toISOString().replace("Z", "000Z");
}
