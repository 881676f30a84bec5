// The main job: a pod's annotation becomes interfaces, a status and events, and DEL takes all of it back.
import { describe, expect, test } from "vitest";
import { errorOf, type Json, useSite } from "../kit/multus-site.ts";

const site = useSite();
const mac = expect.stringMatching(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/) as unknown;

describe("a pod with a default network and three of its own", () => {
  test("gets its interfaces in order, a status and events, passes CHECK, and nothing is left after DEL", async () => {
    const here = site();
    here.network("net-a", here.macvlan("net-a", "10.2.0.0/24"));
    here.network("net-b", { cniVersion: "1.0.0", name: "lan", plugins: [here.macvlan("x", "fd00:3::/64")] }, "other");
    here.network("fixed", {
      cniVersion: "0.4.0",
      type: "macvlan",
      master: "eth0",
      capabilities: { mac: true, ips: true },
      ipam: { type: "static" },
    });
    const pod = here.pod([
      { name: "net-a" },
      { name: "net-b", namespace: "other", interface: "lan0" },
      { name: "fixed", mac: "02:00:00:00:00:42", ips: ["192.0.2.7/24"] },
    ]);
    const before = here.kernel(pod);

    const added = await here.call("ADD", pod);
    expect(added).toMatchObject({ exitCode: 0, stderr: "" });
    expect(added.result).toEqual({
      cniVersion: "1.1.0",
      interfaces: [{ name: "eth0", mac, mtu: 1500, sandbox: pod.netns.path }],
      ips: [{ interface: 0, address: "10.1.0.2/16", gateway: "10.1.0.1" }],
      routes: [{ dst: "0.0.0.0/0" }],
    });
    expect(here.status(pod)).toEqual([
      {
        name: "default-net",
        interface: "eth0",
        ips: ["10.1.0.2"],
        mac,
        mtu: 1500,
        default: true,
        dns: {},
        gateway: ["10.1.0.1"],
      },
      { name: "default/net-a", interface: "net1", ips: ["10.2.0.2"], mac, mtu: 1500, dns: {} },
      { name: "other/net-b", interface: "lan0", ips: ["fd00:3::2"], mac, mtu: 1500, dns: {} },
      { name: "default/fixed", interface: "net3", ips: ["192.0.2.7"], mac: "02:00:00:00:00:42", mtu: 1500, dns: {} },
    ]);
    expect(here.events(pod)).toEqual([
      "Normal AddedInterface Add eth0 [10.1.0.2/16] from default-net",
      "Normal AddedInterface Add net1 [10.2.0.2/24] from default/net-a",
      "Normal AddedInterface Add lan0 [fd00:3::2/64] from other/net-b",
      "Normal AddedInterface Add net3 [192.0.2.7/24] from default/fixed",
    ]);
    const { links, addresses, routes } = here.kernel(pod)[pod.name]!;
    expect(Object.keys(links).sort()).toEqual(["eth0", "lan0", "lo", "net1", "net3"]);
    expect(links["net3"]).toMatchObject({ address: "02:00:00:00:00:42", linkinfo: { kind: "macvlan" } });
    expect(Object.keys(addresses)).toEqual(
      expect.arrayContaining(["eth0 10.1.0.2/16", "net1 10.2.0.2/24", "lan0 fd00:3::2/64", "net3 192.0.2.7/24"]),
    );
    expect(routes["ipv4 main unicast default dev eth0"]).toMatchObject({ gateway: "10.1.0.1" });
    expect(here.files("cni")).toEqual([
      pod.containerId,
      `results/default-net-${pod.containerId}-eth0`,
      `results/fixed-${pod.containerId}-net3`,
      `results/lan-${pod.containerId}-lan0`,
      `results/net-a-${pod.containerId}-net1`,
    ]);
    expect(here.leases()).toEqual(["default-net/10.1.0.2", "lan/fd00:3::2", "net-a/10.2.0.2"]);

    expect(await here.call("CHECK", pod)).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
    expect(await here.call("DEL", pod)).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
    expect(here.remains(before, pod)).toEqual([]);
    expect(await here.call("DEL", pod)).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
  });

  test("has its status in Multus' layout byte for byte", async () => {
    const here = site();
    here.network("fixed", {
      cniVersion: "1.0.0",
      type: "macvlan",
      master: "eth0",
      mac: "02:00:00:00:00:51",
      ipam: {
        type: "static",
        addresses: [{ address: "192.0.2.9/24", gateway: "192.0.2.1" }],
        routes: [{ dst: "0.0.0.0/0" }],
        dns: { nameservers: ["192.0.2.53"] },
      },
    });
    const pod = here.pod("", { "v1.multus-cni.io/default-network": "default/fixed@x0" });
    expect(await here.call("ADD", pod)).toMatchObject({ exitCode: 0 });
    expect(here.statusText(pod)).toBe(`[{
    "name": "default/fixed",
    "interface": "x0",
    "ips": [
        "192.0.2.9"
    ],
    "mac": "02:00:00:00:00:51",
    "mtu": 1500,
    "default": true,
    "dns": {
        "nameservers": [
            "192.0.2.53"
        ]
    },
    "gateway": [
        "192.0.2.1"
    ]
}]`);
    await here.call("DEL", pod);
  });
});

describe("what a pod without annotations, or without manifest, gets", () => {
  test("the default network alone, and a status that says so", async () => {
    const here = site();
    const pod = here.pod();
    expect(await here.call("ADD", pod)).toMatchObject({ exitCode: 0 });
    expect(here.status(pod)?.map((each) => each["interface"])).toEqual(["eth0"]);
    expect(await here.call("DEL", pod)).toMatchObject({ exitCode: 0 });
  });

  test("a container that no kubelet started gets the node's networks and no status", async () => {
    const here = site();
    const pod = here.pod();
    expect(await here.call("ADD", pod, { args: "" })).toMatchObject({ exitCode: 0 });
    expect(here.state(pod)).toBeUndefined();
    expect(await here.call("CHECK", pod, { args: "" })).toMatchObject({ exitCode: 0 });
    expect(await here.call("DEL", pod, { args: "" })).toMatchObject({ exitCode: 0 });
  });

  test.each([
    [
      "a pod that is not there",
      "K8S_POD_NAMESPACE=default;K8S_POD_NAME=nobody",
      11,
      "pod default/nobody does not exist",
    ],
    [
      "a pod of another uid",
      "K8S_POD_NAMESPACE=default;K8S_POD_NAME=<name>;K8S_POD_UID=5",
      7,
      'Multus: [default/<name>/5]: expected pod UID "5" but got "<uid>"',
    ],
    ["half of a pod", "K8S_POD_NAME=pod-0", 4, "CNI_ARGS has K8S_POD_NAME but no K8S_POD_NAMESPACE"],
    ["the other half", "K8S_POD_NAMESPACE=default", 4, "CNI_ARGS has K8S_POD_NAMESPACE but no K8S_POD_NAME"],
    ["no pairs", "K8S_POD_NAMESPACE=default;K8S_POD_NAME", 4, 'CNI_ARGS: invalid pair "K8S_POD_NAME"'],
    ["an equals sign too many", "K8S_POD_NAMESPACE=default;K8S_POD_NAME=a=b", 4, "CNI_ARGS: invalid pair"],
    ["no Kubernetes name", "K8S_POD_NAMESPACE=..;K8S_POD_NAME=a", 11, "does not exist"],
  ])("CNI_ARGS that name %s are refused, and nothing is left", async (_, args, code, msg) => {
    const here = site();
    const pod = here.pod();
    const before = here.kernel(pod);
    const named = (text: string) => text.replace("<name>", pod.name).replace("<uid>", pod.uid);
    const outcome = await here.call("ADD", pod, { args: named(args) });
    expect(errorOf(outcome)).toMatchObject({ code, msg: expect.stringContaining(named(msg)) as unknown });
    expect(here.remains(before, pod)).toEqual([]);
  });
});

describe("the config", () => {
  const added = async (conf: Json, networks: unknown = "", more: Readonly<Record<string, string>> = {}) => {
    const here = site();
    const pod = here.pod(networks, more);
    const before = here.kernel(pod);
    const outcome = await here.call("ADD", pod, { conf });
    const status = here.status(pod);
    expect(await here.call("DEL", pod, { conf })).toMatchObject({ exitCode: 0 });
    expect(here.remains(before, pod)).toEqual([]);
    return { here, outcome, pod, names: status?.map((each) => `${String(each["interface"])} ${String(each["name"])}`) };
  };

  test("delegates beside the first are networks that every pod gets, before its own", async () => {
    const here = site();
    here.network("own", here.macvlan("own", "10.21.0.0/24"));
    const { names } = await added(
      {
        delegates: [
          here.macvlan("a", "10.22.0.0/24"),
          { name: "b", plugins: [here.macvlan("", "10.23.0.0/24")], cniVersion: "1.0.0" },
        ],
      },
      "own",
    );
    expect(names).toEqual(["eth0 a", "net1 b", "net2 default/own"]);
  });

  test("keys match in any letter case", async () => {
    const here = site();
    const { names } = await added({ delegates: undefined, DELEGATES: [here.macvlan("shouted", "10.24.0.0/24")] });
    expect(names).toEqual(["eth0 shouted"]);
  });

  test("clusterNetwork by file, folder, definition and name in confDir", async () => {
    const here = site();
    here.folder.write("cluster/10-first.conflist", {
      cniVersion: "1.0.0",
      name: "from-file",
      plugins: [here.macvlan("", "10.25.0.0/24")],
    });
    here.folder.write("net.d/50-named.conf", here.macvlan("from-conf-dir", "10.26.0.0/24"));
    here.network("defined", here.macvlan("", "10.27.0.0/24"), "kube-system");
    const names = [];
    for (const clusterNetwork of [
      here.path("cluster/10-first.conflist"),
      here.path("cluster"),
      "defined",
      "from-conf-dir",
    ])
      names.push(...((await added({ delegates: undefined, clusterNetwork })).names ?? []));
    expect(names).toEqual(["eth0 from-file", "eth0 from-file", "eth0 kube-system/defined", "eth0 from-conf-dir"]);
  });

  test("a network found only in confDir costs no event (BUG 1.3: Multus warns on every ADD)", async () => {
    const here = site();
    here.folder.write("net.d/60-quiet.conf", here.macvlan("quiet", "10.28.0.0/24"));
    const pod = here.pod();
    const conf = { delegates: undefined, clusterNetwork: "quiet" };
    expect(await here.call("ADD", pod, { conf })).toMatchObject({ exitCode: 0 });
    expect(here.events(pod)).toEqual(["Normal AddedInterface Add eth0 [10.28.0.2/24] from quiet"]);
    await here.call("DEL", pod, { conf });
  });

  test("defaultNetworks go to every pod outside systemNamespaces, counted before its own", async () => {
    const here = site();
    here.network("cluster", here.macvlan("cluster", "10.31.0.0/24"), "kube-system");
    here.network("extra", here.macvlan("extra", "10.32.0.0/24"), "kube-system");
    here.network("mine", here.macvlan("mine", "10.33.0.0/24"), "kube-system");
    const conf = { delegates: undefined, clusterNetwork: "cluster", defaultNetworks: ["extra"] };
    const outside = await added(conf, "kube-system/mine");
    expect(outside.names).toEqual(["eth0 kube-system/cluster", "net1 kube-system/extra", "net2 kube-system/mine"]);
    const pod = here.pod("mine", {}, "kube-system");
    expect(await here.call("ADD", pod, { conf })).toMatchObject({ exitCode: 0 });
    expect(here.status(pod)?.map((each) => each["name"])).toEqual(["kube-system/cluster", "kube-system/mine"]);
    await here.call("DEL", pod, { conf });
  });

  test("a pod named like a system namespace gets its status (BUG 1.2: Multus compares the pod's name)", async () => {
    const here = site();
    const pod = { ...here.pod(), name: "kube-system" };
    here.annotate(pod, "");
    expect(await here.call("ADD", pod)).toMatchObject({ exitCode: 0 });
    expect(here.status(pod)).toHaveLength(1);
    await here.call("DEL", pod);
  });

  test("the default-network annotation replaces the default network, under its own interface name too", async () => {
    const here = site();
    here.network("special", here.macvlan("special", "10.34.0.0/24"), "kube-system");
    here.network("own", here.macvlan("own", "10.35.0.0/24"));
    const annotation = { "v1.multus-cni.io/default-network": "special@uplink" };
    // The cluster's own network can't be found: it is not looked for (Multus loads it first, and fails).
    const { names, outcome } = await added({ delegates: undefined, clusterNetwork: "nowhere" }, "own", annotation);
    expect(outcome).toMatchObject({ exitCode: 0, result: { interfaces: [{ name: "uplink" }] } });
    expect(names).toEqual(["uplink kube-system/special", "net1 default/own"]);
  });

  test("auxiliaryCNIChainName runs the files beside clusterNetwork last, and no status lists the chain", async () => {
    const here = site();
    here.script("vendor", `echo "$CNI_COMMAND $CNI_IFNAME $(cat)" >> ${here.path("vendor.log")}`, 'echo "{}"');
    here.folder.write("aux/20-cluster.conf", here.macvlan("main", "10.36.0.0/24"));
    here.folder.write("aux/vendor-chain/1.conf", { type: "vendor", setting: 7 });
    const conf = {
      delegates: undefined,
      clusterNetwork: here.path("aux/20-cluster.conf"),
      auxiliaryCNIChainName: "vendor-chain",
    };
    const { names } = await added(conf);
    expect(names).toEqual(["eth0 main"]);
    const log = here.files(".").includes("vendor.log") ? await Bun.file(here.path("vendor.log")).text() : "";
    expect(log).toMatch(/^ADD net1 .*"setting":7.*"prevResult".*\nDEL net1 .*"setting":7/);
  });

  test("a definition without config is looked up in confDir, lists before single configs (NPWG M2)", async () => {
    const here = site();
    here.folder.write("net.d/10-disk.conf", here.macvlan("on-disk", "10.37.0.0/24"));
    here.folder.write("net.d/90-disk.conflist", {
      cniVersion: "1.0.0",
      name: "on-disk",
      plugins: [here.macvlan("", "10.38.0.0/24")],
    });
    here.network("on-disk", "");
    const { names, outcome } = await added({}, "on-disk");
    expect(outcome.exitCode).toBe(0);
    expect(names).toEqual(["eth0 default-net", "net1 default/on-disk"]);
  });

  test.each<[string, Json, string]>([
    ["no delegates", { delegates: [] }, "at least one delegate/clusterNetwork must be specified"],
    [
      "an empty list of plugins (BUG 1.2: Multus crashes)",
      { delegates: [{ name: "x", plugins: [] }] },
      "$.delegates[0].plugins: the list is empty",
    ],
    ["neither type nor plugins", { delegates: [{ name: "x" }] }, "delegate must have the 'type' or 'plugin' field"],
    [
      "a plugin without type",
      { delegates: [{ name: "x", plugins: [{}] }] },
      "delegates[0]: error parsing configuration list: $.plugins[0].type: missing 'type'",
    ],
    ["a delegate without name", { delegates: [{ type: "macvlan" }] }, "delegates[0]: missing network name"],
    ["itself as the default network", { delegates: [{ name: "x", type: "multus" }] }, "is multus itself"],
    ["a number for confDir", { confDir: 1 }, "multus config: $.confDir: expected a string, found 1"],
    [
      "a text for namespaceIsolation",
      { namespaceIsolation: "yes" },
      '$.namespaceIsolation: expected true or false, found "yes"',
    ],
    ["a list for globalNamespaces", { globalNamespaces: ["a"] }, "$.globalNamespaces: expected a string"],
    ["a broken log option", { logOptions: { maxSize: "1" } }, "$.logOptions.maxSize: expected an integer"],
    ["a negative delegateTimeout", { delegateTimeout: 0 }, "$.delegateTimeout: expected an integer from 1 to 3600"],
    [
      "an auxiliary chain without a path",
      { delegates: undefined, clusterNetwork: "x", auxiliaryCNIChainName: "y" },
      "auxiliary chain used but ClusterNetwork must be a path",
    ],
    [
      "a clusterNetwork that is nowhere",
      { delegates: undefined, clusterNetwork: "/nowhere" },
      "clusterNetwork: there is no file /nowhere",
    ],
    ["a negative apiTimeout", { apiTimeout: 0 }, "$.apiTimeout: expected an integer from 1 to 300"],
  ])("with %s is refused in one line that says where", async (_, conf, msg) => {
    const { outcome, here, pod } = await added(conf);
    const error = errorOf(outcome);
    expect(error.msg).toContain(msg);
    expect(error.msg).not.toContain("\n");
    expect(error.code).toBe(7);
    if (conf["manifests"] === undefined) expect(here.events(pod).length).toBeLessThanOrEqual(1);
  });

  test("a kubeconfig that is not there is worth another try: it may be about to be written", async () => {
    const { outcome } = await added({ manifests: undefined, kubeconfig: "/nowhere/kubeconfig" });
    const { code, msg } = errorOf(outcome);
    expect(code).toBe(11);
    expect(msg).toContain("kubeconfig /nowhere/kubeconfig: open /nowhere/kubeconfig: no such file or directory");
  });

  test("no manifests, no kubeconfig: the node's networks, whatever the pod is called", async () => {
    const { outcome, names } = await added({ manifests: undefined }, "unknown");
    expect(outcome.exitCode).toBe(0);
    expect(names).toBeUndefined();
  });
});
