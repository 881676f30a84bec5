// What the cases of a guest share: a LAN whose nodes attach pods by calling built-in plugins.
import assert from "node:assert/strict";
import type { CniError } from "../../src/cni/error.ts";
import type { Plugin } from "../../src/cni/plugin.ts";
import type { Result } from "../../src/cni/result.ts";
import type { Verb } from "../../src/cni/version.ts";
import type { JsonObject } from "../../src/json/value.ts";
import { BuiltinCaller } from "../kit/builtin-caller.ts";
import { Lan, type NodeNetns, type PinnedNetns } from "../kit/node-netns.ts";
import { ping } from "../kit/ping.ts";
import { snapshot, withoutProbing } from "../kit/snapshot.ts";

type Config = JsonObject & { readonly type: string };

const silenceMs = 1200;

/** A LAN and one caller on each of its nodes; `using` takes all of it down. */
export class GuestSite implements Disposable {
  readonly lan: Lan;
  readonly #callers: readonly BuiltinCaller[];

  constructor(nodes = 1, plugins: readonly Plugin[] = []) {
    this.lan = new Lan({ nodes });
    this.#callers = this.lan.nodes.map((node) => new BuiltinCaller(node, plugins));
  }

  node(index = 0): NodeNetns {
    return this.lan.node(index);
  }

  caller(index = 0): BuiltinCaller {
    const caller = this.#callers[index];
    if (caller === undefined) throw new RangeError(`there is no node ${index}`);
    return caller;
  }

  /** A pod on a node, with its loopback up, attached to a network as net1 where one is given. */
  async pod(config?: Config, node = 0): Promise<PinnedNetns> {
    const pod = this.node(node).pod();
    pod.up("lo");
    if (config !== undefined) await this.caller(node).add({ config, pod });
    return pod;
  }

  /** ADD on the first node, as net1 unless told otherwise. */
  async add(pod: PinnedNetns, config: Config, ifName = "net1"): Promise<Result> {
    return await this.caller().add({ config, pod, ifName });
  }

  /** Any other verb on the first node, for net1 unless told otherwise. */
  async call(
    verb: Verb,
    pod: PinnedNetns | string,
    config: Config,
    own: { readonly prevResult?: Result; readonly ifName?: string } = {},
  ): Promise<void> {
    await this.caller().call({ verb, config, pod, ...own });
  }

  /**
   * An ADD of net1 on the first node that has to fail, and has to leave node and pod as they were. The error's message has to begin with
   * `words`, or match them.
   */
  async refuses(pod: PinnedNetns, config: Config, words: string | RegExp, code = 999): Promise<void> {
    const before = this.state(pod);
    const outcome = await this.caller()
      .add({ config, pod })
      .then(
        () => "success",
        (error: CniError) => error,
      );
    if (typeof outcome === "string") assert.fail(`expected ${String(words)}, got success`);
    if (typeof words === "string") assert.equal(outcome.message.slice(0, words.length), words, outcome.message);
    else assert.match(outcome.message, words);
    assert.equal(outcome.code, code, outcome.message);
    assert.deepEqual(this.state(pod), before);
  }

  /** All that the first node and those pods hold, to be compared with later; rules of packet filters excepted. */
  state(...pods: readonly PinnedNetns[]): unknown {
    return [this.node(), ...pods].map((each) => withoutProbing(snapshot(each.path, { withFilters: false })));
  }

  [Symbol.dispose](): void {
    for (const caller of this.#callers) caller[Symbol.dispose]();
    this.lan[Symbol.dispose]();
  }
}

/** Static addresses, each with its gateway behind " via " if it has one, and what else `ipam` is to say. */
export function fixed(addresses: readonly string[], own: JsonObject = {}): JsonObject {
  const list = addresses.map((each) => {
    const [address = "", gateway] = each.split(" via ");
    return gateway === undefined ? { address } : { address, gateway };
  });
  return { ipam: { type: "static", addresses: list, ...own } };
}

/** Both families of host number `host` of the LAN. */
export function dual(host: number): JsonObject {
  return fixed([`192.0.2.${host}/24`, `2001:db8::${host}/64`]);
}

/** The addresses get through, in the order given: from the pod to each of them. */
export function reaches(from: PinnedNetns, ...addresses: readonly string[]): void {
  for (const address of addresses) ping(from.path, address);
}

/** None of the addresses gets through. */
export function reachesNone(from: PinnedNetns, ...addresses: readonly string[]): void {
  for (const address of addresses) {
    assert.throws(() => ping(from.path, address, { timeoutMs: silenceMs }), /does not answer/, `${address} answers`);
  }
}

/** What iproute2 says of a link of the namespace; undefined when there is none of that name. */
export function link(of: PinnedNetns, name = "net1"): Readonly<Record<string, unknown>> | undefined {
  return snapshot(of.path, { withFilters: false }).links[name];
}
