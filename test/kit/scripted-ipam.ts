import type { Plugin } from "../../src/cni/plugin.ts";
import { emptyResult, type Result, type ResultIp } from "../../src/cni/result.ts";
import { parseIp } from "../../src/ip/address.ts";
import { parsePrefix } from "../../src/ip/prefix.ts";

/** An address of a result, and its gateway if it has one. */
export function resultIp(text: string, gateway?: string): ResultIp {
  return { address: parsePrefix(text)!, ...(gateway === undefined ? {} : { gateway: parseIp(gateway)! }) };
}

/** An IPAM plugin that does what a test wants, and writes down what it was asked. */
export class ScriptedIpam {
  /** The verbs in order, GC with what is valid; with `hasLink`, each of the others also says "with link" or "without link". */
  readonly asked: string[] = [];
  /** What it does instead of giving `given`, and accepting all else. */
  answers: Partial<Plugin> = {};
  given: Result;

  /** `hasLink` says whether the attachment has its link just now. */
  constructor(
    given: Partial<Result> = { ips: [resultIp("192.0.2.5/24")] },
    private readonly hasLink?: () => boolean,
  ) {
    this.given = { ...emptyResult, ...given };
  }

  /** To be called as type "scripted". */
  get plugin(): Plugin {
    return {
      name: "scripted",
      isIpam: true,
      parse: () => undefined,
      add: (call) => this.#script().add(call),
      del: (call) => this.#script().del(call),
      check: (call) => this.#script().check?.(call),
      status: (call) => this.#script().status?.(call),
      gc: (call) => this.#script().gc?.(call),
    };
  }

  forget(): void {
    this.asked.length = 0;
  }

  #script(): Plugin {
    const heard = (verb: string) => () => {
      const state = this.hasLink === undefined ? "" : this.hasLink() ? " with link" : " without link";
      this.asked.push(`${verb}${state}`);
    };
    return {
      name: "scripted",
      isIpam: true,
      parse: () => undefined,
      add: () => {
        heard("ADD")();
        return this.given;
      },
      del: heard("DEL"),
      check: heard("CHECK"),
      status: heard("STATUS"),
      gc: ({ valid }) => {
        this.asked.push(`GC ${valid.map(({ containerId, ifName }) => `${containerId}/${ifName}`).join(" ")}`);
      },
      ...this.answers,
    };
  }
}
