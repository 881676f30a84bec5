// What the tests of sbr share: a pod behind a node's NIC, and its rules and tables as iproute2 tells them.
import { afterEach, beforeEach } from "vitest";
import { encodeResult } from "../../src/cni/result-encode.ts";
import type { Result } from "../../src/cni/result.ts";
import type { JsonObject } from "../../src/json/value.ts";
import { BuiltinCaller } from "./builtin-caller.ts";
import { useLan } from "./hooks.ts";
import type { LanOptions, NodeNetns, PinnedNetns } from "./node-netns.ts";

export type PluginConfig = JsonObject & { readonly type: string };

/** The IPAM section of static addresses, each with its gateway behind " via " if it has one. */
export function fixedIpam(addresses: readonly string[], routes: readonly JsonObject[] = []): JsonObject {
  const list = addresses.map((each) => {
    const [address = "", gateway] = each.split(" via ");
    return gateway === undefined ? { address } : { address, gateway };
  });
  return { type: "static", addresses: list, routes };
}

/** A macvlan, and sbr behind it. */
export function sbrChain(
  ipam: JsonObject,
  own: JsonObject = {},
  first: JsonObject = {},
): readonly [PluginConfig, PluginConfig] {
  return [
    { type: "macvlan", master: "eth0", ipam, ...first },
    { type: "sbr", ...own },
  ];
}

/** Lines without their blanks, empty ones left out. */
export function trimmedLines(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.replaceAll(/\s+/g, " ").trim())
    .filter((line) => line !== "");
}

/** A LAN for all tests of the block; pod and caller are new for each. */
export function useSbrSite(options: LanOptions = {}): SbrSite {
  const lan = useLan(options);
  const site = new SbrSite((index) => lan().node(index));
  beforeEach(() => site.begin());
  afterEach(() => site.end());
  return site;
}

export class SbrSite {
  #caller: BuiltinCaller | undefined;
  #pod: PinnedNetns | undefined;

  constructor(readonly node: (index?: number) => NodeNetns) {}

  get caller(): BuiltinCaller {
    if (this.#caller === undefined) throw new Error("only a test has a caller");
    return this.#caller;
  }

  /** Its loopback is up. */
  get pod(): PinnedNetns {
    if (this.#pod === undefined) throw new Error("only a test has a pod");
    return this.#pod;
  }

  begin(): void {
    this.#caller = new BuiltinCaller(this.node());
    this.#pod = this.node().pod();
    this.pod.up("lo");
  }

  end(): void {
    this.#caller?.[Symbol.dispose]();
    this.#pod?.[Symbol.dispose]();
  }

  /** Gives the pod an interface besides, as the default network's, with the pod's default route. */
  addOtherInterface(): void {
    this.pod.ip("link add eth0 type veth peer name gone", "link set eth0 up", "link set gone up");
    this.pod.ip("addr add 10.244.1.2/24 dev eth0", "route add default via 10.244.1.1");
  }

  /** The routes of a table of the pod; iproute2 calls one that nothing was ever put into an error. */
  table(number: number | string): string[] {
    return ["-4", "-6"]
      .flatMap((family) =>
        trimmedLines(this.pod.run("sh", "-c", `ip ${family} route show table ${number} 2>/dev/null || true`)),
      )
      .filter((line) => !/^(fe80::|multicast)/.test(line));
  }

  /** The rules that begin with an address. */
  rules(of = this.pod): string[] {
    return ["-4", "-6"]
      .flatMap((family) => trimmedLines(of.run("ip", family, "rule")))
      .filter((line) => /from [^a]/.test(line));
  }

  /** ADD of the first plugin alone: its result, and that as the previous result of the next. */
  async halfway(config: PluginConfig): Promise<{ result: Result; prev: JsonObject }> {
    const result = await this.caller.add({ config, pod: this.pod });
    return { result, prev: encodeResult(result, "1.1.0") };
  }
}
