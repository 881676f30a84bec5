// The API server's audit log: the honest counter of requests, whatever a client says of itself.
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import type { ApiServerFacts } from "./api-server.ts";

/** One request as the server received it. */
export interface AuditEntry {
  readonly verb: string;
  /** "pods", "pods/status", "network-attachment-definitions", "events"; "" for a path that is no object's. */
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
  readonly user: string;
  readonly userAgent: string;
}

interface Line {
  readonly stage: string;
  readonly verb: string;
  readonly userAgent?: string;
  readonly user?: { readonly username?: string };
  readonly objectRef?: {
    readonly resource?: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
}

/**
 * Reads what is appended from its making on, but for what the server asks itself. A request is in the log before its answer is sent, so
 * nothing has to be waited for.
 */
export class AuditLog {
  readonly #path: string;
  #offset: number;

  constructor(api: ApiServerFacts) {
    this.#path = join(api.folder, "audit.log");
    this.#offset = statSync(this.#path).size;
  }

  /**
   * The requests since the last call that were about objects of these namespaces ("" for objects of none), in order. Those about others are
   * passed over for good.
   */
  take(...namespaces: readonly string[]): AuditEntry[] {
    return this.#newEntries().filter((entry) => namespaces.includes(entry.namespace));
  }

  /** The requests of a user since the last call, whatever they were about, in order. Those of others are passed over for good. */
  takeOf(user: string): AuditEntry[] {
    return this.#newEntries().filter((entry) => entry.user === user);
  }

  /** How many requests about objects of each namespace there were since the last call, by users that `counts`. */
  countByNamespace(counts: (user: string) => boolean): Map<string, number> {
    const sums = new Map<string, number>();
    for (const { namespace, user } of this.#newEntries())
      if (counts(user)) sums.set(namespace, (sums.get(namespace) ?? 0) + 1);
    return sums;
  }

  #newEntries(): AuditEntry[] {
    return (
      this.#newLines()
        .map((text) => JSON.parse(text) as Line)
        // The server renews its own Lease in kube-system whenever that is due.
        .filter(({ stage, user }) => stage === "RequestReceived" && user?.username !== "system:apiserver")
        .map(({ verb, objectRef, user, userAgent }) => ({
          verb,
          resource: [objectRef?.resource, objectRef?.subresource].filter((part) => part !== undefined).join("/"),
          namespace: objectRef?.namespace ?? "",
          name: objectRef?.name ?? "",
          user: user?.username ?? "",
          userAgent: userAgent ?? "",
        }))
    );
  }

  #newLines(): string[] {
    const size = statSync(this.#path).size;
    const bytes = new Uint8Array(size - this.#offset);
    const file = openSync(this.#path, "r");
    try {
      readSync(file, bytes, 0, bytes.length, this.#offset);
    } finally {
      closeSync(file);
    }
    // The last line may be half written: it is another request's.
    const text = new TextDecoder().decode(bytes);
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    this.#offset += new TextEncoder().encode(whole).length;
    return whole.split("\n").filter((line) => line !== "");
  }
}

/** "get pods", "patch pods/status", … */
export function inWords({ verb, resource }: AuditEntry): string {
  return `${verb} ${resource}`;
}
