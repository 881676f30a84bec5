import { hostOrder, messageHeaderBytes, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_DONE, NLMSG_ERROR } from "./constants.ts";
import { NetlinkError } from "./error.ts";
import { decodeMessages, type NetlinkMessage } from "./message.ts";
import type { Transport } from "./transport.ts";

/** What one receive yields: a datagram, or the error it fails with. */
export type Answer = Uint8Array | NetlinkError;

/** Looks at the messages of one send and says what the following receives yield. */
export type Script = (sent: readonly NetlinkMessage[]) => readonly Answer[];

/** A kernel that answers by script, for what the real one can't be made to do. Keeps the messages of every send. */
export class ScriptedKernel implements Transport {
  readonly sends: (readonly NetlinkMessage[])[] = [];
  readonly #scripts: Script[];
  readonly #answers: Answer[] = [];

  /** The n-th send is answered by the n-th script; the last one answers all further sends too. */
  constructor(...scripts: readonly Script[]) {
    this.#scripts = [...scripts];
  }

  send(datagram: Uint8Array): void {
    const sent = decodeMessages(datagram, "script");
    this.sends.push(sent);
    const script = this.#scripts.length > 1 ? this.#scripts.shift() : this.#scripts[0];
    this.#answers.push(...(script?.(sent) ?? []));
  }

  receive(operation: string): Uint8Array {
    const answer = this.#answers.shift();
    if (answer === undefined) throw new NetlinkError(operation, 110, { note: "the script is at its end" });
    if (answer instanceof Error) throw answer;
    return answer;
  }

  [Symbol.dispose](): void {
    this.#answers.length = 0;
  }
}

/** One message. */
export function message(type: number, flags: number, sequence: number, body: Uint8Array): Uint8Array {
  const memory = new Uint8Array(messageHeaderBytes + body.length);
  const view = new DataView(memory.buffer);
  view.setUint32(0, memory.length, hostOrder);
  view.setUint16(4, type, hostOrder);
  view.setUint16(6, flags, hostOrder);
  view.setUint32(8, sequence, hostOrder);
  memory.set(body, messageHeaderBytes);
  return memory;
}

/** NLMSG_ERROR for one of the messages sent: `errno` 0 acknowledges. */
export function acknowledge(sent: NetlinkMessage | undefined, errno = 0): Uint8Array {
  const body = new Uint8Array(4 + messageHeaderBytes);
  new DataView(body.buffer).setInt32(0, -errno, hostOrder);
  return message(NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS, sent?.sequence ?? 0, body);
}

/** A reply of type 16 whose body is one byte. */
export function answer(sent: NetlinkMessage | undefined, byte: number, flags = 0): Uint8Array {
  return message(16, flags, sent?.sequence ?? 0, new Uint8Array([byte, 0, 0, 0]));
}

/** The end of a dump. */
export function done(sent: NetlinkMessage | undefined, errno = 0, flags = 0): Uint8Array {
  const body = new Uint8Array(4);
  new DataView(body.buffer).setInt32(0, -errno, hostOrder);
  return message(NLMSG_DONE, flags, sent?.sequence ?? 0, body);
}

/** Several messages in one datagram. */
export function datagram(...messages: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(messages.flatMap((each) => [...each]));
}
