import { describe, expect, test } from "vitest";
import {
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_MULTI,
  NLM_F_REQUEST,
  NLMSG_NOOP,
  NLMSG_OVERRUN,
} from "./constants.ts";
import { overrun } from "./error.ts";
import type { NetlinkRequest } from "./message.ts";
import {
  acknowledge,
  answer,
  datagram,
  done,
  message,
  type Script,
  ScriptedKernel,
} from "./scripted-kernel.test-data.ts";
import { NetlinkSocket } from "./socket.ts";

const add = (label: string): NetlinkRequest => ({ label, type: 16, flags: 0, body: new Uint8Array(4) });
const list: NetlinkRequest = { label: "list links", type: 18, flags: 0, body: new Uint8Array(4) };
const nothing = new Uint8Array(0);

function over(...scripts: Script[]): { socket: NetlinkSocket; kernel: ScriptedKernel } {
  const kernel = new ScriptedKernel(...scripts);
  return { socket: NetlinkSocket.over(kernel), kernel };
}

describe("several requests in one send", () => {
  test("only the last asks for an acknowledgement", () => {
    const { socket, kernel } = over((sent) => [acknowledge(sent[2])]);
    expect(socket.requestAll([add("a"), add("b"), add("c")])).toEqual([undefined, undefined, undefined]);
    expect(kernel.sends[0]?.map(({ flags }) => flags)).toEqual([
      NLM_F_REQUEST,
      NLM_F_REQUEST,
      NLM_F_REQUEST | NLM_F_ACK,
    ]);
  });

  test("failures land where they belong, with the label of their request", () => {
    const { socket } = over((sent) => [
      acknowledge(sent[0], 17),
      datagram(acknowledge(sent[1], 1), acknowledge(sent[2])),
    ]);
    expect(socket.requestAll([add("a"), add("b"), add("c")]).map((error) => error?.message)).toEqual([
      "a: file exists",
      "b: operation not permitted",
      undefined,
    ]);
  });

  test("a long batch is cut, and its numbers count on", () => {
    const { socket, kernel } = over((sent) => [acknowledge(sent.at(-1), kernel.sends.length)]);
    const results = socket.requestAll(Array.from({ length: 150 }, (_, index) => add(String(index))));
    expect(kernel.sends.map((sent) => sent.length)).toEqual([64, 64, 22]);
    expect(kernel.sends.map((sent) => sent[0]?.sequence)).toEqual([1, 65, 129]);
    expect(results.flatMap((error, index) => (error === undefined ? [] : [index]))).toEqual([63, 127, 149]);
  });

  test("requests too large for one send go one by one, a framed batch stays whole", () => {
    const large = (label: string): NetlinkRequest => ({ ...add(label), body: new Uint8Array(40_000) });
    const { socket, kernel } = over(
      (sent) => [acknowledge(sent.at(-1))],
      (sent) => [acknowledge(sent.at(-1))],
      (sent) => [acknowledge(sent.at(-2))],
    );
    expect(socket.requestAll([large("a"), large("b")])).toEqual([undefined, undefined]);
    expect(socket.requestAll([large("a"), large("b")], { begin: add("begin"), end: add("end") })).toEqual([
      undefined,
      undefined,
    ]);
    expect(kernel.sends.map((sent) => sent.length)).toEqual([1, 1, 4]);
  });

  test("late answers, notifications and NLMSG_NOOP are passed over", () => {
    const { socket } = over((sent) => [
      message(16, 0, 0, new Uint8Array(4)),
      acknowledge({ type: 0, flags: 0, sequence: 4711, port: 0, body: nothing }, 5),
      message(NLMSG_NOOP, 0, sent[0]?.sequence ?? 0, nothing),
      acknowledge(sent[0]),
    ]);
    expect(socket.requestAll([add("a")])).toEqual([undefined]);
  });

  test("NLMSG_OVERRUN is an error of the whole conversation", () => {
    const { socket } = over((sent) => [message(NLMSG_OVERRUN, 0, sent[0]?.sequence ?? 0, nothing)]);
    expect(() => socket.requestAll([add("a")])).toThrow(
      "a: no buffer space available (the kernel dropped answers; what was done is unknown)",
    );
  });

  test("a refused begin of a frame is thrown though the requests are never answered", () => {
    const { socket } = over((sent) => [acknowledge(sent[0], 1)]);
    expect(() => socket.requestAll([add("a")], { begin: add("begin"), end: add("end") })).toThrow(
      "begin: operation not permitted",
    );
  });
});

describe("get", () => {
  test("takes the reply without asking for an acknowledgement", () => {
    const { socket, kernel } = over((sent) => [answer(sent[0], 7)]);
    expect(socket.get(add("get")).body[0]).toBe(7);
    expect(kernel.sends[0]?.[0]?.flags).toBe(NLM_F_REQUEST);
  });

  test("an acknowledgement in place of a reply is EBADMSG", () => {
    const { socket } = over((sent) => [acknowledge(sent[0])]);
    expect(() => socket.get(add("get"))).toThrow("get: bad message (the kernel acknowledged without a reply)");
  });
});

describe("dump", () => {
  const bytes = (socket: NetlinkSocket) => socket.dump(list).map(({ body }) => body[0]);
  const sound: Script = (sent) => [
    datagram(answer(sent[0], 1, NLM_F_MULTI), answer(sent[0], 2, NLM_F_MULTI)),
    answer(sent[0], 3, NLM_F_MULTI),
    done(sent[0]),
  ];
  const interrupted: Script = (sent) => [
    answer(sent[0], 8, NLM_F_MULTI),
    answer(sent[0], 9, NLM_F_MULTI | NLM_F_DUMP_INTR),
    done(sent[0], 0, NLM_F_DUMP_INTR),
  ];

  test("gathers all parts", () => {
    const { socket, kernel } = over(sound);
    expect(bytes(socket)).toEqual([1, 2, 3]);
    expect(kernel.sends[0]?.[0]?.flags).toBe(NLM_F_REQUEST | NLM_F_DUMP);
  });

  test("an interrupted one is made again, from nothing", () => {
    const { socket, kernel } = over(interrupted, interrupted, sound);
    expect(bytes(socket)).toEqual([1, 2, 3]);
    expect(kernel.sends).toHaveLength(3);
  });

  test("one whose end alone says interrupted is made again too", () => {
    const { socket } = over((sent) => [answer(sent[0], 8), done(sent[0], 0, NLM_F_DUMP_INTR)], sound);
    expect(bytes(socket)).toEqual([1, 2, 3]);
  });

  test("after five the answer is an error that says so", () => {
    const { socket, kernel } = over(interrupted);
    expect(() => bytes(socket)).toThrow("list links: interrupted (the table changed during 5 dumps in a row)");
    expect(kernel.sends).toHaveLength(5);
  });

  test("dropped parts make it read on to the end, and begin again", () => {
    const { socket } = over(
      (sent) => [answer(sent[0], 8), overrun("x"), answer(sent[0], 9), done(sent[0])],
      (sent) => [message(NLMSG_OVERRUN, 0, sent[0]?.sequence ?? 0, nothing), done(sent[0])],
      sound,
    );
    expect(bytes(socket)).toEqual([1, 2, 3]);
  });

  test("what is left of an earlier dump is passed over", () => {
    const { socket } = over((sent) => [answer(undefined, 5), done(undefined), ...sound(sent)]);
    expect(bytes(socket)).toEqual([1, 2, 3]);
  });

  test("an error in its end, or in place of it, is thrown", () => {
    expect(() => bytes(over((sent) => [answer(sent[0], 1), done(sent[0], 5)]).socket)).toThrow(
      "list links: input/output error",
    );
    expect(() => bytes(over((sent) => [acknowledge(sent[0], 16)]).socket)).toThrow(
      "list links: device or resource busy",
    );
  });

  test("a dump that stops in the middle is a timeout by name", () => {
    expect(() => bytes(over((sent) => [answer(sent[0], 1)]).socket)).toThrow("list links: connection timed out");
  });
});
