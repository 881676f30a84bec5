// What the tests of bridge share: a node, a pod of it, and what the kernel tells of both.
import { afterEach, beforeEach } from "vitest";
import type { JsonObject } from "../../src/json/value.ts";
import { BuiltinCaller } from "./builtin-caller.ts";
import { NodeNetns, type PinnedNetns } from "./node-netns.ts";
import { type KernelObject, snapshot } from "./snapshot.ts";

/** A bridge config. */
export function bridge(own: JsonObject = {}): JsonObject & { readonly type: string } {
  return { type: "bridge", ...own };
}

/** Static addresses, each with its gateway behind " via " if it has one, and what else `ipam` is to say. */
export function fixed(addresses: readonly string[], own: JsonObject = {}): JsonObject {
  const list = addresses.map((each) => {
    const [address = "", gateway] = each.split(" via ");
    return gateway === undefined ? { address } : { address, gateway };
  });
  return { ipam: { type: "static", addresses: list, ...own } };
}

/** An address of each family. */
export const dual = fixed(["10.1.2.5/24", "fd00:1::5/64"]);

/** A site for each test of the block. */
export function useBridgeSite(): () => BridgeSite {
  let site: BridgeSite | undefined;
  beforeEach(() => {
    site = new BridgeSite();
  });
  afterEach(() => site?.[Symbol.dispose]());
  return () => {
    if (site === undefined) throw new Error("only a test has a site");
    return site;
  };
}

class BridgeSite implements Disposable {
  readonly node = new NodeNetns();
  readonly caller = new BuiltinCaller(this.node);
  /** Its loopback is up. */
  readonly pod: PinnedNetns = this.node.pod();

  constructor() {
    this.pod.up("lo");
  }

  link(name: string, of: PinnedNetns = this.node): KernelObject | undefined {
    return snapshot(of.path).links[name];
  }

  /** The node's end of a pair, with its name. */
  port(): [string, KernelObject] | undefined {
    return Object.entries(snapshot(this.node.path).links).find(([name]) => name.startsWith("veth"));
  }

  /** Those that somebody gave to the device. */
  addresses(of: PinnedNetns, device: string): string[] {
    return Object.keys(snapshot(of.path).addresses)
      .filter((name) => name.startsWith(`${device} `) && !name.includes(" fe80:"))
      .map((name) => name.slice(device.length + 1));
  }

  /** Of the main table. */
  routes(of: PinnedNetns = this.pod): string[] {
    return ["-4", "-6"]
      .flatMap((family) => of.run("ip", family, "route", "show").split("\n"))
      .map((line) => line.replaceAll(/\s+/g, " ").trim())
      .filter((line) => line !== "" && !line.startsWith("fe80::"));
  }

  /** By its path below net. */
  sysctl(of: PinnedNetns, key: string): string {
    return of.run("cat", `/proc/sys/net/${key}`).trim();
  }

  messages(): string[] {
    return this.caller.log.map(({ message }) => message);
  }

  [Symbol.dispose](): void {
    this.caller[Symbol.dispose]();
    this.node[Symbol.dispose]();
  }
}
