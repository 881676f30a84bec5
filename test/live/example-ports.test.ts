// The examples that publish ports of the node: behind the bridge of the only network, and behind a further network of the pod.
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { polynicBin } from "../kit/cni-caller.ts";
import { inNetns } from "../kit/command.ts";
import { useExamples } from "../kit/examples.ts";
import { useLan } from "../kit/hooks.ts";
import type { PinnedNetns } from "../kit/node-netns.ts";
import { searchPath } from "../kit/packages.ts";
import { ask, EchoServer } from "../kit/traffic.ts";

const nodeAddress = "192.168.50.1";
const clientAddress = "192.168.50.2";

const lan = useLan({ nodes: 2 });
const examples = useExamples();
beforeAll(() => {
  lan().node().ip(`address add ${nodeAddress}/24 dev eth0`, "route add default via 192.168.50.254 dev eth0");
  lan().node(1).ip(`address add ${clientAddress}/24 dev eth0`);
});

/** A verb of `polynic` with a network of the examples, from where they lie. Returns what it says on standard error. */
function call(verb: string, network: string, netns: PinnedNetns, own: Readonly<Record<string, string>>): string {
  const done = Bun.spawnSync(inNetns(lan().node().path, [join(polynicBin, "polynic"), verb, network, netns.path]), {
    cwd: examples().path,
    env: { PATH: searchPath, NETCONFPATH: "conf-examples/net.d", CNI_PATH: "dist/bin", ...own },
  });
  const stderr = done.stderr.toString();
  expect({ exitCode: done.exitCode, complaint: verb === "check" ? "" : stderr }).toEqual({
    exitCode: 0,
    complaint: "",
  });
  return stderr;
}

const argsOf = (pod: string) => ({ CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod}` });

const mappings = [
  { hostPort: 8081, containerPort: 80, protocol: "tcp" },
  { hostPort: 5354, containerPort: 53, protocol: "udp" },
];

describe.each([
  {
    title: "network ports: a bridge, and portmap behind it",
    network: "ports",
    own: { CAP_ARGS: JSON.stringify({ portMappings: mappings }) },
    neighbourOwn: {},
    questions: [
      { protocol: "tcp", port: 8081 },
      { protocol: "udp", port: 5354 },
    ],
  },
  {
    title: "pod shop: a further network with a chain of its own",
    network: "multi",
    own: argsOf("shop"),
    neighbourOwn: argsOf("api"),
    questions: [
      { protocol: "tcp", port: 8080 },
      { protocol: "tcp", port: 8443 },
    ],
  },
] as const)("$title", ({ network, own, neighbourOwn, questions }) => {
  test("its ports answer the other node, the node and its pods until DEL", async () => {
    const [node, client] = [lan().node(), lan().node(1)];
    const pod = node.pod();
    const neighbour = node.pod();
    call("add", network, pod, own);
    call("add", network, neighbour, neighbourOwn);
    using _server = await EchoServer.start(pod, "shop", 80, 443, 53);
    for (const question of questions) {
      expect(ask(client, { ...question, address: nodeAddress })).toBe(`shop ${clientAddress}`);
      for (const from of [node, neighbour]) expect(ask(from, { ...question, address: nodeAddress })).toMatch(/^shop /);
      expect(ask(node, { ...question, address: "127.0.0.1" })).toMatch(/^shop /);
    }
    // Without being told again which ports, or which pod.
    const told = call("check", network, pod, {});
    if (network === "ports") expect(told).toContain("[verbose] port mappings of eth0 by iptables (by default)\n");
    else expect(told).toBe("");
    call("del", network, pod, own);
    call("del", network, neighbour, neighbourOwn);
    for (const question of questions.filter(({ protocol }) => protocol === "tcp"))
      for (const from of [client, node]) expect(ask(from, { ...question, address: nodeAddress })).toBe("refused");
    expect(node.run("nft", "list", "ruleset")).not.toMatch(/dnat to|CNI-DN-/);
  });
});
