import { Arrivals, forever } from "../libc/arrivals.ts";
import { duplicate, duplicateOnto } from "../libc/duplicate.ts";
import type { Fd } from "../libc/fd.ts";
import { status, statusIfExists } from "../libc/file.ts";
import { effectiveUserId, parentProcess, setParentDeathSignal, setUmask, SIGKILL } from "../libc/process.ts";
import { setTimeouts } from "../libc/socket.ts";
import { dieWithWriters, peerUser, sendBytes, surviveWriters } from "../libc/unix-socket.ts";
import type { Logger } from "../log/logger.ts";
import { leaveLogs } from "../log/open.ts";
import { Leftovers, type Work } from "./leftovers.ts";
import { begun, declined, done, ready } from "./protocol.ts";
import { receiveRequest, type ReceivedRequest } from "./received.ts";
import { type AgentRequest, identityOf, nothing } from "./request.ts";

/** How long a caller may take over its request before the worker turns to the next one. */
const requestTimeoutMs = 1000;
/** How often a worker looks for a caller while it has leftovers, in which time it does nothing else. */
const lookPauseMs = 1;
/** A worker with more leftovers takes no call: whatever they wait for, more of them would not help. */
const leftoversMost = 64;
/** An event gives up after 3 s; it may have been begun as the last call ended, and be counted up after that. */
const settleTimeoutMs = 10_000;
const namespacePath = "/proc/thread-self/ns/net";

/** What a worker is. */
export interface WorkerOptions {
  /** The listening socket, which the other workers have too. */
  readonly listener: Fd;
  /** The process that started this one: without it the worker ends. */
  readonly parent: number;
  /** What this program was built from; calls of any other build are declined. */
  readonly build: string;
  /** After so many calls it ends, so that nothing that a call might leave behind can add up. */
  readonly callLimit: number;
  /**
   * Does a call: descriptors 0 to 2 and the working directory are the caller's meanwhile. Returns the exit code. What is given to `afterwards`
   * is begun when the caller has it.
   */
  readonly serve: (request: AgentRequest, afterwards: (work: Work) => void) => Promise<number>;
  readonly log: Logger;
}

/**
 * Serves one call after the other, each as if this process had been executed for it, until the listening socket is shut down, the parent
 * has ended or the limit is reached, and what the calls have left is done. A worker that can't be sure to be as it was before a call ends with an
 * exception.
 */
export async function runWorker(options: WorkerOptions): Promise<void> {
  const leftovers = new Leftovers();
  const worker = new Worker(options, leftovers);
  using arrivals = new Arrivals(options.listener);
  options.log.verbose("ready for calls", { pid: process.pid });
  for (let calls = 0; calls < options.callLimit; calls++) {
    using connection = await nextCaller(options, arrivals, leftovers);
    if (connection === undefined) break;
    await worker.serve(connection);
    leftovers.begin();
  }
  await leftovers.settle(settleTimeoutMs, options.log);
}

/** The next caller; undefined when the worker is to end. An idle worker dies with its parent at once; one that has something to do finishes it. */
async function nextCaller(
  { parent }: WorkerOptions,
  arrivals: Arrivals,
  leftovers: Leftovers,
): Promise<Fd | undefined> {
  while (leftovers.size > 0) {
    if (parentProcess() !== parent) return undefined;
    const caller = leftovers.size < leftoversMost ? arrivals.next(0) : "nobody";
    if (caller !== "nobody") return caller === "over" ? undefined : caller;
    await Bun.sleep(lookPauseMs);
  }
  setParentDeathSignal(SIGKILL);
  if (parentProcess() !== parent) return undefined;
  const caller = arrivals.next(forever);
  setParentDeathSignal(0);
  return typeof caller === "string" ? undefined : caller;
}

function ownStream(number: number): Fd {
  return duplicate(number, "a stream of the worker");
}

class Worker {
  readonly #options: WorkerOptions;
  readonly #leftovers: Leftovers;
  readonly #user = effectiveUserId();
  readonly #namespace = identityOf(status(namespacePath));
  readonly #root = identityOf(status("/"));
  /** Its own standard streams while a caller's are in their places. */
  readonly #streams = [ownStream(0), ownStream(1), ownStream(2)] as const;

  constructor(options: WorkerOptions, leftovers: Leftovers) {
    this.#options = options;
    this.#leftovers = leftovers;
  }

  async serve(connection: Fd): Promise<void> {
    const user = peerUser(connection);
    if (user !== this.#user) {
      this.#options.log.error(`a process of user ${user} was refused: calls are done for user ${this.#user} only`);
      return;
    }
    setTimeouts(connection, requestTimeoutMs);
    if (!sendBytes(connection, Uint8Array.of(ready))) return;
    using received = receiveRequest(connection);
    if (received === undefined) return;
    if (!this.#fits(received)) {
      sendBytes(connection, Uint8Array.of(declined));
      return;
    }
    const began = performance.now();
    dieWithWriters(received.lifeline);
    // Only fails when it had gone before.
    if (!sendBytes(connection, Uint8Array.of(begun))) return;
    const exitCode = await this.#act(received);
    sendBytes(connection, Uint8Array.of(done, exitCode));
    this.#note(received.request, exitCode, performance.now() - began);
    if (identityOf(status(namespacePath)) !== this.#namespace)
      throw new Error("a call left the worker in another network namespace");
  }

  #note({ name, environment }: AgentRequest, exitCode: number, tookMs: number): void {
    const { CNI_COMMAND: command = "", CNI_CONTAINERID: container = "", CNI_IFNAME: interfaceName = "" } = environment;
    this.#options.log.debug("did a call", {
      name,
      command,
      container,
      interfaceName,
      exitCode,
      ms: Math.round(tookMs),
    });
  }

  /** Whether this process sees the world as the caller does, and would do the same in it. */
  #fits({ request }: ReceivedRequest): boolean {
    const { build, namespace, root, pod, environment } = request;
    if (build !== this.#options.build || namespace !== this.#namespace || root !== this.#root) return false;
    const status = statusIfExists(environment["CNI_NETNS"] ?? "");
    return pod === (status === undefined ? nothing : identityOf(status));
  }

  /** The call with the caller's things in place of this process's; they are the caller's alone again before it hears of the end. */
  async #act(received: ReceivedRequest): Promise<number> {
    for (const [number, stream] of received.streams.entries()) duplicateOnto(stream, number);
    process.chdir(`/proc/self/fd/${received.directory.number}`);
    setUmask(received.request.umask);
    try {
      return await this.#options.serve(received.request, (work) => this.#leftovers.add(work));
    } finally {
      leaveLogs(this.#streams[2]);
      for (const [number, stream] of this.#streams.entries()) duplicateOnto(stream, number);
      surviveWriters(received.lifeline);
      received[Symbol.dispose]();
      process.chdir("/");
    }
  }
}
