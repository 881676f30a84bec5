import { Fd } from "../libc/fd.ts";
import { receiveMessage } from "../libc/unix-socket.ts";
import { descriptorCount, requestBytesMax } from "./protocol.ts";
import { type AgentRequest, decodeRequest, lengthOf } from "./request.ts";

/** A request with what travelled along. `using` closes the descriptors. */
export class ReceivedRequest implements Disposable {
  constructor(
    readonly request: AgentRequest,
    /** Standard input, output and error. */
    readonly streams: readonly [Fd, Fd, Fd],
    readonly directory: Fd,
    /** A pipe whose other end goes with the caller. */
    readonly lifeline: Fd,
  ) {}

  [Symbol.dispose](): void {
    for (const stream of this.streams) stream[Symbol.dispose]();
    this.directory[Symbol.dispose]();
    this.lifeline[Symbol.dispose]();
  }
}

/**
 * What the peer sends until its request is whole; undefined when it sends something else, hangs up, or takes longer than the connection's
 * time limit. Descriptors that came with what is no request are closed.
 */
export function receiveRequest(connection: Fd): ReceivedRequest | undefined {
  const memory = new Uint8Array(requestBytesMax);
  const descriptors: Fd[] = [];
  let length = 0;
  let wanted = Number.POSITIVE_INFINITY;
  while (length < wanted) {
    const received = receiveMessage(connection, memory.subarray(length), descriptorCount);
    for (const number of received.descriptors) descriptors.push(new Fd(number, "a descriptor of the caller"));
    length += received.length ?? 0;
    const isOver = received.length === undefined || received.length === 0;
    wanted = lengthOf(memory.subarray(0, length)) ?? 0;
    if (isOver || wanted === 0) break;
  }
  const request = wanted === length ? decodeRequest(memory.subarray(0, length)) : undefined;
  const [stdin, stdout, stderr, directory, lifeline, ...more] = descriptors;
  if (
    request === undefined ||
    stdin === undefined ||
    stdout === undefined ||
    stderr === undefined ||
    directory === undefined ||
    lifeline === undefined ||
    more.length > 0
  ) {
    for (const descriptor of descriptors) descriptor[Symbol.dispose]();
    return undefined;
  }
  return new ReceivedRequest(request, [stdin, stdout, stderr], directory, lifeline);
}
