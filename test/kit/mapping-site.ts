// What the tests of port mappings' rules share: a node without pods, since rules need none, and the rules that are somebody's there.
import { afterEach, beforeEach } from "vitest";
import type { Result } from "../../src/cni/result.ts";
import type { JsonObject } from "../../src/json/value.ts";
import { type BuiltinCall, BuiltinCaller } from "./builtin-caller.ts";
import { NodeNetns } from "./node-netns.ts";
import { resultIp } from "./scripted-ipam.ts";

export const web = { hostPort: 8080, containerPort: 80, protocol: "tcp" };
export const dns = { hostPort: 5300, containerPort: 53, protocol: "udp" };
/** A namespace that is not there. */
export const nowhere = "/run/netns/none";

/** Whose mappings, and which. */
export interface Attachment extends Partial<Omit<BuiltinCall, "verb" | "config">> {
  readonly network?: string;
  readonly mappings?: readonly object[];
  readonly own?: JsonObject;
}

/** What a plugin that gave the pod these addresses has answered; without any, one per IP version. */
export function resultOf(...texts: string[]): Result {
  const given = texts.length === 0 ? ["10.1.2.2/24", "fd00:1::2/64"] : texts;
  return { interfaces: [], ips: given.map((text) => resultIp(text)), routes: [], dns: {} };
}

/** The call of a verb for eth0 of container ctr1 on net1, unless told otherwise. */
export function mappingCall(
  verb: BuiltinCall["verb"],
  { network, mappings, own, ...more }: Attachment = {},
): BuiltinCall {
  return {
    verb,
    pod: nowhere,
    containerId: "ctr1",
    ifName: "eth0",
    ...(verb === "ADD" || verb === "CHECK" ? { prevResult: resultOf() } : {}),
    ...more,
    config: {
      type: "portmap",
      ...(network === undefined ? { name: "net1" } : { name: network }),
      ...(mappings === undefined ? {} : { runtimeConfig: { portMappings: mappings as JsonObject[] } }),
      ...own,
    },
  };
}

/** A site for each test of the block. */
export function useMappingSite(): () => MappingSite {
  let site: MappingSite | undefined;
  beforeEach(() => {
    site = new MappingSite();
  });
  afterEach(() => site?.[Symbol.dispose]());
  return () => {
    if (site === undefined) throw new Error("only a test has a site");
    return site;
  };
}

class MappingSite implements Disposable {
  readonly node = new NodeNetns();
  readonly caller = new BuiltinCaller(this.node);

  async add(attachment: Attachment = {}): Promise<void> {
    await this.caller.call(mappingCall("ADD", { mappings: [web, dns], ...attachment }));
  }

  /** Knows nothing but the names, unless told. */
  async del(attachment: Attachment = {}): Promise<void> {
    await this.caller.call(mappingCall("DEL", attachment));
  }

  /** Rules and chains that are somebody's, of whichever back end, as text. */
  present(): string[] {
    const nft = this.node
      .run("sh", "-c", "nft -s list table ip cni_hostport; nft -s list table ip6 cni_hostport; true")
      .split("\n");
    const saved = ["iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy"].map((name) => `${name}-save`);
    const script = `for each in ${saved.join(" ")}; do $each 2>/dev/null; done; true`;
    const iptables = this.node.run("sh", "-c", script).split("\n");
    const lines = [
      ...nft.filter((line) => line.includes(' comment "')),
      ...iptables.filter((line) => line.includes("CNI-DN-")),
    ];
    return lines
      .map((line) => line.trim())
      .filter((line) => line !== 'comment "CNI portmap plugin"')
      .sort();
  }

  messages(): string[] {
    return this.caller.log.map(({ message }) => message);
  }

  [Symbol.dispose](): void {
    this.caller[Symbol.dispose]();
    this.node[Symbol.dispose]();
  }
}
