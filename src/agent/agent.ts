import type { Fd } from "../libc/fd.ts";
import { makeDirectories, rename, statusIfExists, unlinkIfExists } from "../libc/file.ts";
import { pause } from "../libc/pause.ts";
import { setUmask } from "../libc/process.ts";
import { unixAddress } from "../libc/unix-address.ts";
import { listenAt, stopListening } from "../libc/unix-socket.ts";
import type { Logger } from "../log/logger.ts";
import { identityOf } from "./request.ts";

/** A worker that lived shorter has not got to work: the next one is not started at once. */
const shortLifeMs = 1000;
const firstPauseMs = 100;
const longestPauseMs = 10_000;
/** More calls than that don't even wait: they would do so in vain, since a worker does some hundred a second. */
const waitingMost = 128;

export interface AgentOptions {
  /** Where the socket is put; its folder is made when it is missing. */
  readonly path: string;
  readonly workers: number;
  /** Starts a worker process that inherits the listening socket as descriptor 3. */
  readonly startWorker: (listener: Fd) => { readonly pid: number; readonly exited: Promise<number> };
  /** Ends the agent: nobody is accepted any more, calls that run are finished. */
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/**
 * Listens, and keeps as many workers as were asked for; returns when it was told to end and they all have. The socket replaces one that is
 * there in one step, so that a newer agent takes over from an older one without a gap. Throws `RangeError` for a path that no socket can
 * have, `SystemError` when it can't be made.
 */
export async function runAgent({ path, workers, startWorker, signal, log }: AgentOptions): Promise<void> {
  using listener = listen(path);
  const own = identityOfPath(path);
  log.verbose(`listening at ${path}, ${workers} workers`);
  const stop = (): void => {
    // A newer agent's socket stays.
    if (identityOfPath(path) === own) unlinkIfExists(path);
    stopListening(listener);
  };
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  await Promise.all(Array.from({ length: workers }, () => keepWorker(() => startWorker(listener), signal, log)));
}

function listen(path: string): Fd {
  const temporary = `${path}.${process.pid}`;
  const address = unixAddress(temporary);
  if (address === undefined) throw new RangeError(`${path} is too long for a socket, or none at all`);
  makeDirectories(path.slice(0, path.lastIndexOf("/")) || "/", 0o700);
  unlinkIfExists(temporary);
  const umask = setUmask(0o177);
  const listener = listenAt(address, waitingMost, path);
  setUmask(umask);
  rename(temporary, path);
  return listener;
}

/** One worker after the other until the signal; resolves when the last one has ended. */
async function keepWorker(
  start: () => ReturnType<AgentOptions["startWorker"]>,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  let pauseMs = 0;
  while (!signal.aborted) {
    const began = performance.now();
    const worker = start();
    const exitCode = await worker.exited;
    if (signal.aborted) return;
    if (exitCode !== 0) log.error(`worker ${worker.pid} ended with ${exitCode}`);
    pauseMs =
      performance.now() - began >= shortLifeMs ? 0 : Math.min(Math.max(2 * pauseMs, firstPauseMs), longestPauseMs);
    if (pauseMs > 0) await pause(pauseMs, signal);
  }
}

function identityOfPath(path: string): string | undefined {
  const status = statusIfExists(path);
  return status && identityOf(status);
}
