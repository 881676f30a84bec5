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
/** Nothing here is further away than a few virtual wires; only address resolution of a fresh interface takes a moment. */
const answerTimeoutMs = 500;
const attemptsMax = 3;

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
      if (this.question.protocol === "tcp") this[Symbol.dispose]();
      try {
        this.#fd ??= open(this.netns, this.question);
        return converse(this.#fd, this.question);
      } catch (error) {
        if (isErrno(error, "ECONNREFUSED", "ECONNRESET")) return "refused";
        if (!isTimeout(error) && !isErrno(error, "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT", "EALREADY", "E115"))
          throw error;
      }
    }
    return "nothing";
  }

  [Symbol.dispose](): void {
    this.#fd?.[Symbol.dispose]();
    this.#fd = undefined;
  }
}

/** A socket stays in the namespace where it was made; everything else can happen outside. */
function open(netns: Place, { protocol, address }: Question): Fd {
  const isV4 = parse(address).family === 4;
  using namespace = Netns.open(netns.path);
  const fd = namespace.enter(() =>
    socket(isV4 ? AF_INET : AF_INET6, protocol === "tcp" ? SOCK_STREAM : SOCK_DGRAM, 0, `${protocol} socket`),
  );
  setTimeouts(fd, answerTimeoutMs);
  return fd;
}

function converse(fd: Fd, { protocol, address, port }: Question): string {
  connect(fd, socketAddress(parse(address), port));
  if (protocol === "udp") send(fd, Uint8Array.of(63));
  const memory = new Uint8Array(answerBytesMax);
  const length = receive(fd, memory);
  return new TextDecoder().decode(memory.subarray(0, length));
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
