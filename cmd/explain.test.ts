import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { capture } from "./captured.test-data.ts";

const folder = mkdtempSync(join(tmpdir(), "polynic-explain-"));
const conf = join(folder, "00-multus.conf");
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

const explain = (...args: string[]) => capture("explain", ...args);

function network(name: string, config: object, annotations: object = {}): object {
  const metadata = { name, annotations };
  const kind = "NetworkAttachmentDefinition";
  return { apiVersion: "k8s.cni.cncf.io/v1", kind, metadata, spec: { config: JSON.stringify(config) } };
}

function pod(name: string, networks: unknown, more: object = {}): object {
  const value = typeof networks === "string" ? networks : JSON.stringify(networks);
  const annotations = { "k8s.v1.cni.cncf.io/networks": value, ...more };
  return { apiVersion: "v1", kind: "Pod", metadata: { name, uid: `uid-${name}`, annotations } };
}

beforeAll(() => {
  // Whoever runs the tests may well have a cluster.
  vi.stubEnv("KUBECONFIG", "");
  vi.stubEnv("NETCONFPATH", "/nowhere");
  vi.stubEnv("KUBERNETES_SERVICE_HOST", "");
  const objects = [
    network("lan", { cniVersion: "1.0.0", type: "macvlan", ipam: { type: "host-local", subnet: "10.9.0.0/24" } }),
    network("list", {
      cniVersion: "1.0.0",
      name: "list",
      plugins: [{ type: "bridge", capabilities: { ips: true } }, { type: "tuning" }],
    }),
    network(
      "nic",
      { cniVersion: "1.0.0", name: "nic", type: "sriov" },
      { "k8s.v1.cni.cncf.io/resourceName": "example.com/nic" },
    ),
    pod("good", [
      { name: "lan", mac: "02:00:00:00:00:01", "default-route": ["10.0.0.1"] },
      { name: "list", interface: "list0", ips: ["10.0.0.2/24"], "cni-args": { a: 1 }, bandwidth: { egressRate: 1 } },
      { name: "nic" },
    ]),
    network("empty", { cniVersion: "1.0.0", type: "macvlan", ipam: { type: "host-local" } }),
    pod("empty", "lan@x0,empty"),
    pod("bad", "lam,lan@x0,other/lan,list@x0", { "v1.multus-cni.io/default-network": "[{" }),
  ];
  for (const [index, object] of objects.entries()) writeFileSync(join(folder, `${index}.json`), JSON.stringify(object));
  const delegates = [
    { cniVersion: "1.0.0", name: "main", type: "bridge", ipam: { type: "host-local", subnet: "10.9.0.0/24" } },
  ];
  const multus = {
    cniVersion: "1.0.0",
    name: "mine",
    type: "multus",
    manifests: folder,
    kubeletDir: "/nowhere",
    binDir: "/nowhere/bin",
    namespaceIsolation: true,
    globalNamespaces: "none",
    delegates,
  };
  writeFileSync(conf, JSON.stringify(multus));
});

describe("polynic explain", () => {
  test("says of each network who asked for it, where its config is, and what is put into it", async () => {
    const { exitCode, out, error } = await explain("good", "--conf", conf);
    expect({ exitCode, error }).toEqual({ exitCode: 0, error: "" });
    expect(out.split("\n")).toEqual([
      "Pod default/good (uid uid-good) would be attached.",
      "",
      "INTERFACE  NETWORK       VERDICT            ASKED BY                     CONFIG FROM                               PLUGINS             INJECTED",
      "eth0       main          ok                 delegates[0]                 delegates[0]                              bridge/host-local",
      'net1       default/lan   ok                 k8s.v1.cni.cncf.io/networks  NetworkAttachmentDefinition default/lan   macvlan/host-local  name "lan"',
      "                                                                                                                                       CNI_ARGS MAC=02:00:00:00:00:01",
      '                                                                                                                                       default-route ["10.0.0.1"]',
      'list0      default/list  MissingCapability  k8s.v1.cni.cncf.io/networks  NetworkAttachmentDefinition default/list  bridge              bridge: args {"cni":{"a":1}}',
      '                                                                                                                   tuning              bridge: cniVersion "1.0.0"',
      '                                                                                                                                       bridge: name "list"',
      '                                                                                                                                       bridge: runtimeConfig {"ips":["10.0.0.2/24"]}',
      '                                                                                                                                       tuning: args {"cni":{"a":1}}',
      '                                                                                                                                       tuning: cniVersion "1.0.0"',
      '                                                                                                                                       tuning: name "list"',
      "                                                                                                                                       CNI_ARGS IP=10.0.0.2/24",
      "net3       default/nic   ok                 k8s.v1.cni.cncf.io/networks  NetworkAttachmentDefinition default/nic   sriov               deviceID, pciBusID of a example.com/nic that kubelet assigns",
      "",
      `warning: MissingCapability: network default/list (interface list0): "bandwidth" of the pod's annotation reaches no plugin (bridge+tuning): declare "capabilities": {"bandwidth": true} in the config of the plugin that honours it`,
      "",
      expect.stringMatching(
        /^note: which devices of example\.com\/nic the pod has is not known here: ask kubelet for the devices of pod default\/good: there is no \/nowhere\/pod-resources\/kubelet\.sock; /,
      ),
      "",
      'note: failed to find plugin "sriov" in path [/nowhere/bin], and the pod\'s node needs it; it is not built in: its executable belongs into one of these folders',
      "",
    ]);
  });

  test("goes on to the end whatever is wrong, and says what would refuse the pod", async () => {
    const { exitCode, out } = await explain("default/bad", "--conf", conf);
    expect(exitCode).toBe(1);
    const [first, , , ...lines] = out.split("\n");
    expect(first).toBe("Pod default/bad (uid uid-bad) would be refused, with nothing attached.");
    const text = lines.join("\n");
    expect(text).toMatch(/^eth0 +main +ok +delegates\[0\]/);
    expect(text).toMatch(/\n- +default\/lam +NoNetworkFound +k8s\.v1\S+ +- +-\n/);
    expect(text).toMatch(/\nx0 +default\/lan +InvalidNetworkSelection /);
    expect(text).toMatch(/\n- +other\/lan +NetworkNotAllowed /);
    expect(text.split("\n").filter((line) => line.startsWith("refused: "))).toEqual([
      expect.stringMatching(
        /^refused: InvalidNetworkSelection: annotation v1\.multus-cni\.io\/default-network: invalid JSON form/,
      ),
      expect.stringMatching(
        /^refused: NoNetworkFound: cannot find .*\(lam\).*; did you mean lan\?; namespace default has empty, lan, list, nic$/,
      ),
      expect.stringMatching(
        /^refused: InvalidNetworkSelection: networks default\/lan and default\/list both want interface x0; /,
      ),
      expect.stringMatching(/^refused: NetworkNotAllowed: namespace isolation enabled, .*target namespace other /),
    ]);
  });

  test("says of an ipam section what ADD would refuse it for", async () => {
    const { exitCode, out } = await explain("empty", "--conf", conf);
    expect(exitCode).toBe(1);
    expect(out).toMatch(/\nx0 +default\/lan +ok /);
    expect(out).toMatch(/\nnet2 +default\/empty +FailedToAttach /);
    expect(out).toContain(
      "\nrefused: FailedToAttach: network default/empty (interface net2): macvlan/host-local: no IP ranges specified (at $.ipam); ",
    );
  });

  test("gives everything in the machine's forms", async () => {
    const { out } = await explain("good", "--conf", conf, "-o", "json");
    const explanation = JSON.parse(out);
    expect(explanation).toMatchObject({
      namespace: "default",
      name: "good",
      uid: "uid-good",
      isRefused: false,
      refusals: [],
    });
    expect(explanation.networks[2]).toEqual({
      network: "default/list",
      isDefault: false,
      askedBy: "k8s.v1.cni.cncf.io/networks",
      interface: "list0",
      configFrom: "NetworkAttachmentDefinition default/list",
      plugins: [
        {
          type: "bridge",
          ipam: "",
          capabilities: ["ips"],
          injected: {
            args: { cni: { a: 1 } },
            cniVersion: "1.0.0",
            name: "list",
            runtimeConfig: { ips: ["10.0.0.2/24"] },
          },
        },
        {
          type: "tuning",
          ipam: "",
          capabilities: [],
          injected: { args: { cni: { a: 1 } }, cniVersion: "1.0.0", name: "list" },
        },
      ],
      args: expect.stringContaining("K8S_POD_NAME=good;"),
      refusals: [],
      warnings: [{ reason: "MissingCapability", message: expect.stringContaining('"bandwidth"') }],
    });
    expect(Bun.YAML.parse((await explain("good", "--conf", conf, "-o", "yaml")).out)).toEqual(explanation);
  });

  test.each<[string, string[], string]>([
    ["no pod", ["--conf", conf], "missing required argument 'pod'"],
    [
      "a pod that is not there",
      ["wep", "--conf", conf],
      "no pod default/wep in the manifests; they have default/good, default/empty, default/bad",
    ],
    [
      "no place to look",
      ["good"],
      "name the manifests with -f FILE, an API server with --kubeconfig FILE or $KUBECONFIG, or a --conf FILE",
    ],
  ])("%s is bad input: one line and exit code 2", async (_, args, want) => {
    const { exitCode, out, error } = await explain(...args);
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
    expect(error).toContain(want);
    expect(error.trimEnd()).not.toContain("\n");
  });

  test("a kubeconfig that is not there is said in one line", async () => {
    const { exitCode, error } = await explain("good", "--kubeconfig", join(folder, "none"));
    expect(exitCode).toBe(1);
    expect(error).toContain(join(folder, "none"));
    expect(error.trimEnd()).not.toContain("\n");
  });
});
