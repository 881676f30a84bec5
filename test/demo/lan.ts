// Two nodes on one LAN, made with polynic's own storeys: a machine may lack iproute2.
import { parseIp } from "../../src/ip/address.ts";
import { parsePrefix } from "../../src/ip/prefix.ts";
import { Netns } from "../../src/netns/netns.ts";
import { createNetns, deleteNetns } from "../../src/netns/pin.ts";
import { addAddress } from "../../src/rtnl/address.ts";
import { createLink, requireLink } from "../../src/rtnl/link.ts";
import { setLink } from "../../src/rtnl/link-change.ts";
import { addRoute } from "../../src/rtnl/route.ts";

/** A namespace that stands for a node: loopback and eth0 are up, the default route goes over eth0. */
export interface DemoNode {
  readonly name: string;
  readonly netns: string;
  readonly address: string;
}

export interface DemoLan {
  readonly nodes: readonly [DemoNode, DemoNode];
  /** Unpins all its namespaces. */
  remove(): void;
}

const gateway = "192.168.50.254";

/**
 * Gives a node a bridge with an address, as whoever runs the node may do before there are pods: one that a network makes for itself stays
 * behind the network's last pod, since CNI has nobody to delete it.
 */
export function addBridge({ netns }: DemoNode, name: string, address: string): void {
  using node = Netns.open(netns);
  const bridge = createLink(node.rtnl, { name, up: true, data: { kind: "bridge" } });
  node.rtnl.run(addAddress({ device: bridge, prefix: known(parsePrefix(address)) }));
}

/** Makes the nodes and a switch between them: a bridge in a third namespace, one veth to each node. Pins lie in `folder`. */
export function buildLan(folder: string, names: readonly [string, string]): DemoLan {
  const switchPath = `${folder}/switch`;
  using lanSwitch = createNetns(switchPath);
  const bridge = createLink(lanSwitch.rtnl, { name: "lan0", up: true, data: { kind: "bridge" } });
  const addNode = (name: string, index: number): DemoNode => {
    const node = { name, netns: `${folder}/${name}`, address: `192.168.50.${index + 1}` };
    using netns = createNetns(node.netns);
    const peer = { name: "eth0", netnsFd: netns.fd.number };
    const port = createLink(lanSwitch.rtnl, { name: `port${index + 1}`, data: { kind: "veth", peer } });
    lanSwitch.rtnl.run(setLink(port, { master: bridge.index, up: true }));
    const eth0 = requireLink(netns.rtnl, "eth0");
    netns.rtnl.run(setLink("lo", { up: true }), setLink(eth0, { up: true }));
    netns.rtnl.run(addAddress({ device: eth0, prefix: known(parsePrefix(`${node.address}/24`)) }));
    netns.rtnl.run(
      addRoute({ destination: known(parsePrefix("0.0.0.0/0")), gateway: known(parseIp(gateway)), device: eth0 }),
    );
    return node;
  };
  const nodes = [addNode(names[0], 0), addNode(names[1], 1)] as const;
  return {
    nodes,
    remove() {
      for (const path of [switchPath, ...nodes.map(({ netns }) => netns)]) deleteNetns(path);
    },
  };
}

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError("an address written in this file does not parse");
  return value;
}
