import { JsonError } from "../json/error.ts";
import { decode, type Schema } from "../json/struct.ts";
import { stringify } from "../json/stringify.ts";
import type { JsonObject, JsonValue } from "../json/value.ts";
import { pause } from "../libc/pause.ts";
import type { Logger } from "../log/logger.ts";
import type { Connection } from "./connection.ts";
import { isUnauthorized, isUnavailable, KubeError } from "./error.ts";
import { lines } from "./lines.ts";
import { addressHint, fromAnswer, fromRejection, seconds } from "./failure.ts";
import { RequestLimit } from "./request-limit.ts";
import { describeTarget, pathOf, type RbacVerb, type Target } from "./resource.ts";
import { retryDelayMs } from "./retry.ts";

export interface ClientOptions {
  /** How long one request may take in all, with everything that is tried again for it. */
  readonly timeoutMs: number;
  /** "polynic/<version> (<verb>)": what the server's audit log calls us. */
  readonly userAgent: string;
  readonly log: Logger;
  /** Ends what is on its way, what waits for another attempt, and whatever is asked after that; never when absent. */
  readonly end?: AbortSignal;
  /** What to do about a server that does not answer, for those who have no network config to change. */
  readonly cure?: string;
}

export interface RequestOptions {
  readonly query?: Readonly<Record<string, string>>;
  /** An array for a JSON patch. */
  readonly body?: JsonObject | readonly JsonValue[];
  /** "application/json" otherwise. */
  readonly contentType?: string;
  readonly accept?: string;
  /** Less time than the client's, for what is worth less. */
  readonly atMostMs?: number;
}

const nodesCure = 'is the API server up, and reachable from this node? "apiTimeout" gives it longer';

const methods: Readonly<Record<RbacVerb, string>> = {
  get: "GET",
  list: "GET",
  watch: "GET",
  create: "POST",
  update: "PUT",
  patch: "PATCH",
  delete: "DELETE",
};

/** An attempt gets half of what is left, so that one that hangs leaves time for another; but not less than this. */
const shortestAttemptMs = 2000;
/** What a request gets after another one has waited in vain: the outage is known by then. */
const silentTimeoutMs = 1000;

/**
 * Requests to one API server. Every one of them can be repeated without harm (reading; patches, updates and deletions with a
 * precondition; creating under a name of our choice), so all are tried again after trouble that passes, within one deadline. Throws `KubeError` only.
 */
export class KubeClient {
  readonly #connection: Connection;
  readonly #options: ClientOptions;
  #isSilent = false;

  constructor(connection: Connection, options: ClientOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** What the server answers, decoded by `schema`; the members that the schema does not name are dropped. */
  async request<T>(target: Target, schema: Schema<T>, options: RequestOptions = {}): Promise<T> {
    const text = await this.#chain(target, options);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw this.#misunderstood(target, "no JSON");
    }
    return this.decoded(target, schema, value);
  }

  /** A part of an answer, decoded. Throws `KubeError` "protocol" for what does not fit; `path` is where it stands in the answer. */
  decoded<T>(target: Target, schema: Schema<T>, value: unknown, path = "$"): T {
    try {
      return decode(schema, value, path);
    } catch (error) {
      if (!(error instanceof JsonError)) throw error;
      throw this.#misunderstood(target, error.message);
    }
  }

  /** The lines of an answer that goes on for long, as they come: a watch. Not tried again; `signal` ends it. */
  async *stream(
    target: Target,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): AsyncGenerator<string, void, undefined> {
    try {
      const { body } = await this.#open(target, query, signal);
      if (body !== null) yield* lines(body);
    } catch (cause) {
      if (cause instanceof KubeError) throw cause;
      throw fromRejection(target, this.#connection.access(), cause);
    }
  }

  /** The beginning of an answer; with the credentials as they are now, should the server refuse those that were read before. */
  async #open(target: Target, query: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Response> {
    for (let hasReloaded = false; ; hasReloaded = true) {
      const response = await this.#send(target, { query }, { signal, timeout: false });
      if (response.ok) return response;
      const refusal = fromAnswer(target, this.#connection.access(), response, await response.text());
      if (hasReloaded || !isUnauthorized(refusal) || !this.#reload(refusal)) throw refusal;
    }
  }

  #misunderstood(target: Target, problem: string): KubeError {
    const { server } = this.#connection.access();
    return new KubeError("protocol", describeTarget(target), `${server} did not answer as expected: ${problem}`, {
      hint: addressHint,
    });
  }

  /** Attempts of one request until one succeeds, fails for good, or the time is up. */
  async #chain(target: Target, options: RequestOptions): Promise<string> {
    const { atMostMs = Number.POSITIVE_INFINITY } = options;
    const allowedMs = Math.min(
      this.#options.timeoutMs,
      atMostMs,
      this.#isSilent ? silentTimeoutMs : Number.POSITIVE_INFINITY,
    );
    const began = performance.now();
    let wasRepeated = false;
    let hasReloaded = false;
    let problem = "";
    for (let attempt = 1; ; attempt++) {
      const attemptMs = allowedMs - (performance.now() - began);
      try {
        return await this.#attempt(target, options, attemptMs);
      } catch (error) {
        if (!(error instanceof KubeError)) throw error;
        // One that had little time left learnt nothing: what the attempt before it met is the trouble.
        if (error.kind !== "timeout" || problem === "" || attemptMs >= shortestAttemptMs) problem = error.problem;
        if (!hasReloaded && (isUnauthorized(error) || error.kind === "tls") && this.#reload(error)) {
          hasReloaded = true;
          continue;
        }
        const delayMs = retryDelayMs(error, attempt);
        const leftMs = allowedMs - (performance.now() - began) - (delayMs ?? 0);
        const { end } = this.#options;
        if (delayMs === undefined || leftMs <= 0 || end?.aborted === true)
          throw this.#final(error.with({ wasRepeated, problem }), attempt, performance.now() - began);
        wasRepeated ||= error.status === undefined || error.status.code >= 500;
        this.#options.log.verbose(`${error.message}; trying again in ${seconds(delayMs)}`);
        await (end === undefined ? Bun.sleep(delayMs) : pause(delayMs, end));
      }
    }
  }

  /** One exchange. An answer of any kind shows that the server is there. */
  async #attempt(target: Target, options: RequestOptions, leftMs: number): Promise<string> {
    const limitMs = Math.max(leftMs / 2, Math.min(leftMs, shortestAttemptMs));
    const wholeMs = Math.max(1, Math.ceil(limitMs));
    const { end } = this.#options;
    using limit = end === undefined ? undefined : new RequestLimit(wholeMs, end);
    const signal = limit?.signal ?? AbortSignal.timeout(wholeMs);
    try {
      const response = await this.#send(target, options, { signal });
      const text = await response.text();
      this.#isSilent = false;
      if (response.ok) return text;
      throw fromAnswer(target, this.#connection.access(), response, text);
    } catch (cause) {
      if (cause instanceof KubeError) throw cause;
      // Rethrows what is no rejection of the request.
      const error = fromRejection(
        target,
        this.#connection.access(),
        cause,
        end?.aborted === true ? undefined : limitMs,
      );
      if (error.kind === "timeout") this.#connection.reconnect();
      throw error;
    }
  }

  async #send(target: Target, options: RequestOptions, init: BunFetchRequestInit): Promise<Response> {
    const { query, body, contentType = "application/json", accept = "application/json" } = options;
    const authorization = this.#connection.authorization();
    const search = query === undefined ? "" : `?${new URLSearchParams(query).toString()}`;
    return await this.#connection.fetch(pathOf(target) + search, {
      ...init,
      method: methods[target.verb],
      headers: {
        accept,
        "user-agent": this.#options.userAgent,
        ...(authorization === undefined ? {} : { authorization }),
        ...(body === undefined ? {} : { "content-type": contentType }),
      },
      ...(body === undefined ? {} : { body: stringify(body) }),
    });
  }

  /** True when the credentials or the authority are others by now; what can't be read stays what it was. */
  #reload(refusal: KubeError): boolean {
    try {
      return this.#connection.reload();
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      this.#options.log.error(`${refusal.message}; and reading the credentials again: ${error.message}`);
      return false;
    }
  }

  /** The failure in the words of the whole chain. */
  #final(error: KubeError, attempts: number, tookMs: number): KubeError {
    if (!isUnavailable(error)) return error;
    if (error.status === undefined) this.#isSilent = true;
    const { retryAfterMs } = error.status ?? {};
    const asked = retryAfterMs === undefined ? "" : `, and the server asks to wait ${seconds(retryAfterMs)}`;
    const spent = attempts === 1 ? "" : ` (${attempts} attempts in ${seconds(tookMs)}${asked})`;
    const hint = error.hint || (this.#options.cure ?? nodesCure);
    return error.with({ problem: `${error.problem}${spent}`, hint });
  }
}
