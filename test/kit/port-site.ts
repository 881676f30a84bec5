// Pods behind a node, as the chain [bridge, portmap] makes them, and a client on the node's network.
import { join } from "node:path";
import { type CniCall, type CniOutcome, callCni, mustCallCni, polynicBin } from "./cni-caller.ts";
import { Lan, type NodeNetns, type PinnedNetns } from "./node-netns.ts";
import { ping } from "./ping.ts";
import { EchoServer } from "./traffic.ts";

export interface Mapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol?: string;
  readonly hostIP?: string;
}

/** What pods of the site are reached at, and by whom. */
export const addresses = {
  node4: "192.0.2.1",
  node6: "2001:db8::1",
  /** A second address of the node. */
  other4: "192.0.2.9",
  client4: "192.0.2.2",
  client6: "2001:db8::2",
  /** Of another client. */
  stranger4: "192.0.2.3",
  stranger6: "2001:db8::3",
  gateway4: "10.88.0.1",
  gateway6: "fd00:88::1",
} as const;

export class SitePod {
  /** Of the bridge plugin; the previous result of portmap. */
  result: unknown;

  constructor(
    readonly name: string,
    readonly netns: PinnedNetns,
    readonly ip4: string,
    readonly ip6: string,
  ) {}
}

export class PortSite implements Disposable {
  readonly #lan = new Lan({ nodes: 3 });
  readonly #servers: EchoServer[] = [];
  readonly pods: SitePod[] = [];

  /** `bin` holds the portmap plugin that is called; all else is ours. */
  constructor(readonly bin = polynicBin) {
    const { node4, node6, other4, client4, client6, stranger4, stranger6 } = addresses;
    for (const one of [this.node, this.client, this.stranger]) sayRefused(one);
    keepOffBridges(this.node);
    this.node.ip(
      ...[`${node4}/24`, `${other4}/24`, `${node6}/64`].map(
        (address) => `addr add ${address} dev eth0 ${nodad(address)}`,
      ),
    );
    for (const [one, ...own] of [
      [this.client, `${client4}/24`, `${client6}/64`],
      [this.stranger, `${stranger4}/24`, `${stranger6}/64`],
    ] as const) {
      one.ip(
        ...own.map((address) => `addr add ${address} dev eth0 ${nodad(address)}`),
        // For what is not masqueraded on its way.
        `route add 10.88.0.0/24 via ${node4}`,
        `route add fd00:88::/64 via ${node6}`,
      );
    }
  }

  get node(): NodeNetns {
    return this.#lan.node(0);
  }

  get client(): NodeNetns {
    return this.#lan.node(1);
  }

  get stranger(): NodeNetns {
    return this.#lan.node(2);
  }

  /** A pod on the bridge, answering with its name on these ports. */
  async pod(name: string, ...ports: readonly number[]): Promise<SitePod> {
    const number = this.pods.length + 2;
    const pod = new SitePod(name, this.node.pod(), `10.88.0.${number}`, `fd00:88::${number}`);
    this.pods.push(pod);
    const config = {
      cniVersion: "1.1.0",
      name: "pods",
      type: "bridge",
      bridge: "br-pods",
      // So that a pod reaches itself.
      hairpinMode: true,
      isDefaultGateway: true,
      ipam: {
        type: "static",
        addresses: [
          { address: `${pod.ip4}/24`, gateway: addresses.gateway4 },
          { address: `${pod.ip6}/64`, gateway: addresses.gateway6 },
        ],
      },
    };
    const { result } = await mustCallCni({ ...this.#call(pod, "ADD"), executable: join(polynicBin, "bridge"), config });
    pod.result = result;
    sayRefused(pod.netns);
    // IPv6 of a fresh interface needs a moment, in which a question would be lost.
    for (const from of [this.node, this.client, this.stranger]) ping(from.path, pod.ip6);
    await this.serve(pod.netns, name, ...ports);
    return pod;
  }

  /** Somebody who answers in that namespace until the site is gone. */
  async serve(netns: PinnedNetns, name: string, ...ports: readonly number[]): Promise<void> {
    if (ports.length > 0) this.#servers.push(await EchoServer.start(netns, name, ...ports));
  }

  /** The portmap call of a verb; `own` are keys of the config. */
  portmap(pod: SitePod, command: string, mappings: readonly Mapping[] | undefined, own: object = {}): CniCall {
    return {
      ...this.#call(pod, command),
      executable: join(this.bin, "portmap"),
      config: {
        cniVersion: "1.1.0",
        name: "pods",
        type: "portmap",
        ...(mappings === undefined ? {} : { runtimeConfig: { portMappings: withProtocols(mappings) } }),
        ...(pod.result === undefined ? {} : { prevResult: pod.result }),
        ...own,
      },
    };
  }

  /** ADD of portmap; throws what it says when it fails. */
  async map(pod: SitePod, mappings: readonly Mapping[], own: object = {}): Promise<CniOutcome> {
    return await mustCallCni(this.portmap(pod, "ADD", mappings, own));
  }

  /** DEL of portmap with the mappings, or, with undefined, knowing nothing but the names. */
  async unmap(pod: SitePod, mappings?: readonly Mapping[], own: object = {}): Promise<void> {
    const nothingKnown = mappings === undefined ? { prevResult: undefined } : {};
    await mustCallCni(this.portmap(pod, "DEL", mappings, { ...nothingKnown, ...own }));
  }

  /** CHECK of portmap; what it complains of, "" when it does not. */
  async check(pod: SitePod, mappings: readonly Mapping[], own: object = {}): Promise<string> {
    return (await callCni(this.portmap(pod, "CHECK", mappings, own))).stdout;
  }

  #call(pod: SitePod, command: string) {
    return { command, containerId: pod.name, ifName: "eth0", netns: pod.netns.path, node: this.node };
  }

  [Symbol.dispose](): void {
    for (const server of this.#servers) server[Symbol.dispose]();
    this.#lan[Symbol.dispose]();
  }
}

/** The kernel tells a sender of UDP that nobody listens once in a second; tests ask more often. */
function sayRefused(netns: PinnedNetns): void {
  netns.run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0");
}

/** On nodes with br_netfilter, netfilter sees what goes from port to port of a bridge too, which hides mistakes that others would suffer from. */
function keepOffBridges(node: NodeNetns): void {
  node.run(
    "sh",
    "-c",
    "for each in /proc/sys/net/bridge/bridge-nf-call-ip*tables; do [ ! -e $each ] || echo 0 > $each; done",
  );
}

function nodad(address: string): string {
  return address.includes(":") ? "nodad" : "";
}

/** Each mapping as it stands in a runtime's config. */
function withProtocols(mappings: readonly Mapping[]): object[] {
  return mappings.map((mapping) => ({ protocol: "tcp", ...mapping }));
}

/** The same for TCP and UDP. */
export function both(hostPort: number, containerPort: number, hostIP?: string): Mapping[] {
  const more = hostIP === undefined ? {} : { hostIP };
  return ["tcp", "udp"].map((protocol) => ({ hostPort, containerPort, protocol, ...more }));
}
