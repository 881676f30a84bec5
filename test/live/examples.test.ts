import { readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { ManifestCluster } from "../../src/cluster/manifests.ts";
import { loadNetwork } from "../../src/cni/network-folder.ts";
import { polynicBin } from "../kit/cni-caller.ts";
import { inNetns } from "../kit/command.ts";
import { useExamples } from "../kit/examples.ts";
import { useLan } from "../kit/hooks.ts";
import type { PinnedNetns } from "../kit/node-netns.ts";
import { searchPath } from "../kit/packages.ts";
import { ping } from "../kit/ping.ts";
import { claimsUnder, filesUnder, leasesUnder } from "../demo/remains.ts";

const folder = useExamples();
const examples = (): string => join(folder().path, "conf-examples");
const statusKey = "k8s.v1.cni.cncf.io/network-status";

const lan = useLan();
beforeEach(() => {
  lan().node().ip("address replace 192.168.50.1/24 dev eth0");
  lan().node().ip("route replace default via 192.168.50.254 dev eth0");
});

test("every example is one that a test knows", () => {
  const files = readdirSync(examples(), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(examples(), join(entry.parentPath, entry.name)));
  expect(files.sort()).toEqual([
    "README.md",
    // test/node/anthos.test.ts
    "anthos/networks.yaml",
    "anthos/pods.yaml",
    // test/kernel/examples.test.ts
    "eth1/bridge-vlan.yaml",
    "eth1/ipvlan-whereabouts.yaml",
    "eth1/ipvlan.yaml",
    "eth1/macvlan-on-vlan.yaml",
    "eth1/vlan.yaml",
    // test/node/gke.test.ts
    "gke/nad.yaml",
    // test/cri/readme.test.ts
    "install/10-primary.conflist",
    "install/pod.yaml",
    "install/sandbox.json",
    // Here, and the second in test/live/example-ports.test.ts
    "net.d/10-multi.conflist",
    "net.d/20-ports.conflist",
    "pods/chains.yaml",
    "pods/networks.yaml",
    "pods/node-1.yaml",
    "pods/node-2.yaml",
    "pods/ports.yaml",
    "pods/routes.yaml",
    // test/live/routed.test.ts
    "routed/10-routed.conflist",
    // test/node/vlan.test.ts
    "vlan/10-calico.conflist",
    "vlan/99-my-config.yaml",
    "vlan/networks.yaml",
    "vlan/pods.yaml",
  ]);
});

/** The verbs of cnitool with the example's network, from where it lies. */
function call(verb: string, pod: string, netns: PinnedNetns): string {
  const done = Bun.spawnSync(inNetns(lan().node().path, [join(polynicBin, "polynic"), verb, "multi", netns.path]), {
    cwd: folder().path,
    env: {
      PATH: searchPath,
      NETCONFPATH: "conf-examples/net.d",
      CNI_PATH: "dist/bin",
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod}`,
    },
  });
  expect({ exitCode: done.exitCode, stderr: done.stderr.toString() }).toEqual({ exitCode: 0, stderr: "" });
  return done.stdout.toString();
}

describe("the network multi", () => {
  const wanted: readonly [string, Record<string, string[]>][] = [
    ["web", { eth0: ["10.244.9."], net1: ["10.60.0."], storage0: ["10.61.0.11/24", "fd00:61::11/64"] }],
    ["api", { eth0: ["10.244.9."], lan0: ["10.60.0."], net2: ["10.65.0.10/24", "fd00:65::1/64"] }],
    ["db", { eth0: ["10.244.9."], net1: ["10.60.0.1"], storage0: ["10.61.0.21/24", "fd00:61::21/64"] }],
    [
      "cache",
      { eth0: ["10.244.9."], net1: ["10.60.0.1"], lan1: ["10.60.0.1"], net3: ["10.65.0.10/24", "fd00:65::1/64"] },
    ],
    ["edge", { eth0: ["10.244.9."], net1: ["21.0.111.1/21"] }],
    ["busy", { eth0: ["10.244.9."], fast0: ["10.62.0."], net2: ["21.0.111.2/21"] }],
    ["shop", { eth0: ["10.244.9."], net1: ["10.63.0."] }],
    ["reporter", { eth0: ["10.244.9."], net1: ["10.64.1."] }],
  ];

  test.each(wanted)("attaches the NICs of pod %s, reports them, and leaves none", async (name, interfaces) => {
    const netns = lan().node().pod();
    const result = JSON.parse(call("add", name, netns)) as { ips: { address: string }[] };
    expect(result.ips[0]?.address).toContain("10.244.9.");
    for (const [device, addresses] of Object.entries(interfaces)) {
      const text = netns.run("ip", "-o", "address", "show", "dev", device);
      for (const address of addresses) expect(text).toContain(address);
    }
    expect(ping(netns.path, "10.244.9.1")).toBeGreaterThan(0);
    const pod = await new ManifestCluster(join(examples(), "pods")).getPod("default", name);
    const status = JSON.parse(pod?.annotations[statusKey] ?? "[]") as { interface: string }[];
    expect(status.map((each) => each.interface)).toEqual(Object.keys(interfaces));
    call("check", name, netns);
    call("del", name, netns);
    expect(netns.run("ip", "-o", "link").trim().split("\n")).toEqual([expect.stringContaining("lo:")]);
    expect(leasesUnder("/var/lib/cni/networks")).toEqual([]);
    expect(claimsUnder("/run/polynic/shared")).toEqual([]);
    expect(readdirSync("/var/lib/cni/results").filter((file) => file.startsWith("multi-"))).toEqual([]);
  });

  test("gives a pod with chains the routes, rules, sysctls and MAC that they speak of", () => {
    const netns = lan().node().pod();
    const run = (...command: string[]) => netns.run(...command).replaceAll(/ +\n| +$/g, "\n");
    call("add", "busy", netns);
    const [rule, ...others] = JSON.parse(run("ip", "-j", "rule", "show", "from", "21.0.111.2")) as { table: string }[];
    expect([rule?.table, others]).toEqual(["100", []]);
    expect(run("ip", "route", "show", "table", "100")).toBe(
      "default via 21.0.111.254 dev net2\n21.0.104.0/21 dev net2 proto kernel scope link src 21.0.111.2\n",
    );
    expect(run("ip", "route", "show", "default")).toBe("default via 10.244.9.1 dev eth0\n");
    expect(run("ip", "route", "get", "198.51.100.1", "from", "21.0.111.2")).toContain("via 21.0.111.254 dev net2");
    expect(run("ip", "route", "get", "198.51.100.1")).toContain("via 10.244.9.1 dev eth0");
    const [link] = JSON.parse(run("ip", "-j", "link", "show", "fast0")) as object[];
    expect(link).toMatchObject({ address: "02:00:00:62:00:01", mtu: 1400 });
    const folder = "/proc/sys/net";
    const sysctls = [`${folder}/ipv4/conf/fast0/arp_filter`, `${folder}/ipv4/conf/fast0/rp_filter`];
    expect(run("cat", ...sysctls, `${folder}/core/somaxconn`)).toBe("1\n2\n8192\n");
    call("check", "busy", netns);
    call("del", "busy", netns);
    expect(run("cat", `${folder}/core/somaxconn`)).toBe("4096\n");
    expect(run("ip", "rule")).not.toContain("lookup 100");
    expect(filesUnder("/run/cni/tuning")).toEqual([]);
  });

  test("gives a pod the routes of its network, over the gateway of the range unless they name their own", () => {
    const netns = lan().node().pod();
    call("add", "reporter", netns);
    expect(netns.run("ip", "route").replaceAll(/( src \S+)? +\n/g, "\n")).toBe(
      [
        "default via 10.244.9.1 dev eth0",
        "10.64.0.0/21 dev net1 proto kernel scope link",
        "10.244.9.0/24 dev eth0 proto kernel scope link",
        "172.31.0.0/16 via 10.64.7.254 dev net1",
        "192.168.0.0/16 via 10.64.7.253 dev net1",
        "",
      ].join("\n"),
    );
    call("del", "reporter", netns);
  });

  test.each<[string, string[]]>([
    ["multi", ["multus"]],
    ["ports", ["bridge", "portmap"]],
  ])("%s is a list that libcni can read: JSON without comments", (name, types) => {
    const list = loadNetwork(join(examples(), "net.d"), name);
    expect(list.warnings).toEqual([]);
    expect(list.plugins.map(({ type }) => type)).toEqual(types);
  });
});

describe("the pods", () => {
  test("ask for every network between them, and each is one that is tried above", async () => {
    const cluster = new ManifestCluster(join(examples(), "pods"));
    const pods = cluster.pods();
    expect(pods.map(({ name }) => name).sort()).toEqual([
      "api",
      "busy",
      "cache",
      "db",
      "edge",
      "reporter",
      "shop",
      "web",
    ]);
    const annotations = pods.map(({ annotations }) => annotations["k8s.v1.cni.cncf.io/networks"]).join(" ");
    for (const name of ["lan-node-1", "lan-node-2", "shared", "storage", "uplink", "tuned", "published", "backbone"]) {
      expect(annotations).toContain(name);
      expect(JSON.parse((await cluster.getNetwork("default", name)).config)).toHaveProperty("cniVersion", "1.0.0");
    }
  });
});
