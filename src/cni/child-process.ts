import { kill, SIGKILL } from "../libc/process.ts";

export interface ChildOptions {
  /** Full path; it is also the child's argv[0]. */
  readonly executable: string;
  /** All of the child's environment. */
  readonly environment: Readonly<Record<string, string>>;
  readonly stdin: string;
  readonly timeoutMs: number;
  /** Gets the process id, which is its group's too, and undefined when it has ended. */
  readonly onChild?: (pid: number | undefined) => void;
}

export interface ChildOutcome {
  /** How it ended, in Go's words: "exit status 1", "signal: killed"; "" for success. */
  readonly failure: string;
  /** What it was killed for by us; undefined when it ended by itself. */
  readonly killedFor?: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** How long an executable that somebody is still writing (ETXTBSY) is waited for; installers take less. */
const busyLimitMs = 5000;
const firstBusyPauseMs = 20;
const longestBusyPauseMs = 1000;
/** How long output is awaited after the child's end: a daemon that it left behind may hold the pipes open for ever. */
const drainLimitMs = 250;
/** More output than any plugin has reason for; the rest of the memory is the node's. */
const outputLimitBytes = 16 * 1024 * 1024;

/**
 * Runs an executable to its end, in a session and so a process group of its own. When the time is up or it prints without end, the
 * whole group is killed. Throws what `Bun.spawn` throws when it can't be started (`code` holds the errno's name), ETXTBSY only
 * after waiting for it.
 */
export async function runChild(options: ChildOptions): Promise<ChildOutcome> {
  const child = await start(options);
  options.onChild?.(child.pid);
  let killedFor: string | undefined;
  const killGroup = (reason: string) => {
    killedFor ??= reason;
    kill(-child.pid, SIGKILL);
  };
  const deadline = setTimeout(() => killGroup(`it ran for more than ${options.timeoutMs / 1000} s`), options.timeoutMs);
  const tooMuch = () => killGroup(`it printed more than ${outputLimitBytes} bytes`);
  const outputs = [new Output(child.stdout, tooMuch), new Output(child.stderr, tooMuch)] as const;
  try {
    await child.exited;
  } finally {
    clearTimeout(deadline);
    options.onChild?.(undefined);
  }
  const [stdout, stderr] = await drain(outputs);
  const failure = endOf(child);
  return { failure, stdout, stderr, ...(killedFor === undefined ? {} : { killedFor }) };
}

async function start(options: ChildOptions): Promise<ReturnType<typeof spawn>> {
  let waitedMs = 0;
  for (let pauseMs = firstBusyPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestBusyPauseMs)) {
    try {
      return spawn(options);
    } catch (error) {
      const isBusy = error instanceof Error && "code" in error && error.code === "ETXTBSY";
      if (!isBusy || waitedMs >= busyLimitMs) throw error;
    }
    await Bun.sleep(pauseMs);
    waitedMs += pauseMs;
  }
}

function spawn({ executable, environment, stdin }: ChildOptions) {
  return Bun.spawn([executable], {
    env: environment,
    stdin: new TextEncoder().encode(stdin),
    stdout: "pipe",
    stderr: "pipe",
    detached: true,
  });
}

interface ByteReader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  cancel(): Promise<void>;
}

/** One pipe's text, collected as it comes. */
class Output {
  readonly done: Promise<void>;
  readonly #reader: ByteReader;
  readonly #decoder = new TextDecoder();
  #text = "";
  #bytes = 0;

  constructor(stream: ReadableStream<Uint8Array>, onTooMuch: () => void) {
    this.#reader = stream.getReader();
    this.done = this.#collect(onTooMuch);
  }

  async #collect(onTooMuch: () => void): Promise<void> {
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done || value === undefined) return;
      this.#bytes += value.length;
      if (this.#bytes > outputLimitBytes) onTooMuch();
      else this.#text += this.#decoder.decode(value, { stream: true });
    }
  }

  /** What came so far; nothing is read any more. */
  async close(): Promise<string> {
    await this.#reader.cancel();
    return this.#text + this.#decoder.decode();
  }
}

async function drain(outputs: readonly [Output, Output]): Promise<[stdout: string, stderr: string]> {
  const limit = Promise.withResolvers<void>();
  const timer = setTimeout(limit.resolve, drainLimitMs);
  await Promise.race([Promise.all(outputs.map(({ done }) => done)), limit.promise]);
  clearTimeout(timer);
  const [stdout, stderr] = outputs;
  return [await stdout.close(), await stderr.close()];
}

/** Names as Go prints signals; another one by its kernel name. */
const signalTexts: Readonly<Record<string, string>> = {
  SIGKILL: "killed",
  SIGTERM: "terminated",
  SIGSEGV: "segmentation fault",
  SIGABRT: "aborted",
  SIGPIPE: "broken pipe",
};

function endOf({ exitCode, signalCode }: ReturnType<typeof spawn>): string {
  if (signalCode !== null) return `signal: ${signalTexts[signalCode] ?? signalCode}`;
  return exitCode === 0 ? "" : `exit status ${exitCode}`;
}
