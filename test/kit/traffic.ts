// Real TCP and UDP conversations between network namespaces, which tell who answered and whom the answerer saw.
import { join } from "node:path";
import { type Ip, ipToBytes, parseIp } from "../../src/ip/address.ts";
import { isErrno } from "../../src/libc/errno.ts";
import type { Fd } from "../../src/libc/fd.ts";
import { AF_INET, AF_INET6, connect, isTimeout, receive, send, setTimeouts, socket } from "../../src/libc/socket.ts";
import { Netns } from "../../src/netns/netns.ts";
import { inNetns } from "./command.ts";
import { searchPath } from "./packages.ts";

const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const answerBytesMax = 256;
/**
 * For the first attempt: nothing here is further away than a few virtual wires; only address resolution of a fresh interface takes a moment. Each
 * attempt waits longer than the one before, for whoever is to answer may have no processor just then.
 */
const answerTimeoutMs = 500;
const patienceGrowth = 4;
const connectTimeoutMs = 1;
const attemptsMax = 3;
const nobody = "nothing";
/** What connect(2) says of a connection that is being made: EINPROGRESS, and after an interruption EALREADY or EISCONN. */
const underWay = ["E115", "EALREADY", "EISCONN"] as const;

export type Protocol = "tcp" | "udp";

/** The network namespace, by its path, in which somebody asks or answers. */
export interface Place {
  readonly path: string;
}

/** A process in the namespace that answers on these ports, TCP and UDP, IPv4 and IPv6, with `name` and the address it was asked from. */
export class EchoServer implements Disposable {
  private constructor(private readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">) {}

  /** Returns once it listens. */
  static async start(netns: Place, name: string, ...ports: readonly number[]): Promise<EchoServer> {
    const script = join(import.meta.dirname, "echo-server.ts");
    const child = Bun.spawn(inNetns(netns.path, [process.execPath, script, name, ...ports.map(String)]), {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: searchPath },
    });
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    if (value === undefined) throw new Error(`no server in ${netns.path}: ${await child.stderr.text()}`);
    reader.releaseLock();
    return new EchoServer(child);
  }

  [Symbol.dispose](): void {
    this.child.kill("SIGKILL");
  }
}

export interface Question {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
}

/** What came of a question: the answer ("name address"), "refused", or "nothing" when there was no reaction to any attempt. */
export function ask(netns: Place, question: Question, attempts = attemptsMax): string {
  using asker = new Asker(netns, question);
  return asker.ask(attempts);
}

/** What came of each question, in order. They are asked at the same time: those that nobody answers cost one wait together. */
export function askAll(
  questions: readonly (readonly [netns: Place, question: Question])[],
  attempts: number,
): string[] {
  using askers = new DisposableStack();
  const all = questions.map(([netns, question]) => askers.use(new Asker(netns, question)));
  const answers = all.map(() => nobody);
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const waiting: number[] = [];
    for (const [index, asker] of all.entries()) {
      if (answers[index] !== nobody) continue;
      const known = asker.begin();
      if (known === undefined) waiting.push(index);
      else answers[index] = known;
    }
    const deadline = performance.now() + patienceOf(attempt);
    for (const index of waiting) answers[index] = all[index]?.end(deadline - performance.now()) ?? nobody;
  }
  return answers;
}

/** One socket that may ask again and again: to the kernel all of it is one connection. */
export class Asker implements Disposable {
  #fd: Fd | undefined;

  constructor(
    private readonly netns: Place,
    private readonly question: Question,
  ) {}

  /** As `ask`. Over TCP each time is a new connection. */
  ask(attempts = attemptsMax): string {
    for (let attempt = 1; attempt <= attempts; attempt += 1) {
      const answer = this.begin() ?? this.end(patienceOf(attempt));
      if (answer !== nobody) return answer;
    }
    return nobody;
  }

  /** Asks once. Returns what came of it where that is known at once. */
  begin(): string | undefined {
    const { protocol, address, port } = this.question;
    if (protocol === "tcp") this[Symbol.dispose]();
    return reactionTo(() => {
      if (this.#fd !== undefined) forgetWhatCame(this.#fd);
      const fd = (this.#fd ??= open(this.netns, this.question));
      // A connection that is not there soon goes on being made while the answer is waited for.
      setTimeouts(fd, connectTimeoutMs);
      try {
        connect(fd, socketAddress(parse(address), port));
      } catch (error) {
        if (!isErrno(error, ...underWay)) throw error;
      }
      if (protocol === "udp") send(fd, Uint8Array.of(63));
      return undefined;
    });
  }

  /** What comes of it in that time. */
  end(waitMs: number): string {
    const fd = this.#fd;
    if (fd === undefined) return nobody;
    const answer = reactionTo(() => {
      // None at all would mean for ever.
      setTimeouts(fd, Math.max(1, waitMs));
      const memory = new Uint8Array(answerBytesMax);
      const length = receive(fd, memory);
      return new TextDecoder().decode(memory.subarray(0, length));
    });
    return answer ?? nobody;
  }

  [Symbol.dispose](): void {
    this.#fd?.[Symbol.dispose]();
    this.#fd = undefined;
  }
}

/** In milliseconds; `attempt` counts from 1. */
function patienceOf(attempt: number): number {
  return answerTimeoutMs * patienceGrowth ** (attempt - 1);
}

/** An answer that came too late for an earlier question is none to the next. */
function forgetWhatCame(fd: Fd): void {
  setTimeouts(fd, connectTimeoutMs);
  const memory = new Uint8Array(answerBytesMax);
  while (reactionTo(() => (receive(fd, memory), undefined)) !== nobody);
}

/** Runs a step of a conversation. An error is an answer too, or says that nobody is there. */
function reactionTo(step: () => string | undefined): string | undefined {
  try {
    return step();
  } catch (error) {
    if (isErrno(error, "ECONNREFUSED", "ECONNRESET")) return "refused";
    if (isTimeout(error) || isErrno(error, "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT", "EALREADY", "ENOTCONN"))
      return nobody;
    throw error;
  }
}

/** A socket stays in the namespace where it was made; everything else can happen outside. */
function open(netns: Place, { protocol, address }: Question): Fd {
  const isV4 = parse(address).family === 4;
  using namespace = Netns.open(netns.path);
  return namespace.enter(() =>
    socket(isV4 ? AF_INET : AF_INET6, protocol === "tcp" ? SOCK_STREAM : SOCK_DGRAM, 0, `${protocol} socket`),
  );
}

function parse(address: string): Ip {
  const ip = parseIp(address);
  if (ip === undefined) throw new TypeError(`${address} is no address`);
  return ip;
}

/** struct sockaddr_in or sockaddr_in6. */
function socketAddress(ip: Ip, port: number): Uint8Array {
  const isV4 = ip.family === 4;
  const memory = new Uint8Array(isV4 ? 16 : 28);
  const view = new DataView(memory.buffer);
  view.setUint16(0, isV4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, port);
  memory.set(ipToBytes(ip), isV4 ? 4 : 8);
  return memory;
}
