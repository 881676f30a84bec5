import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { capture } from "./captured.test-data.ts";

const examples = join(import.meta.dirname, "..", "conf-examples", "pods");
const folder = mkdtempSync(join(tmpdir(), "polynic-plan-"));
// Whoever runs the tests may well have a cluster.
beforeAll(() => {
  vi.stubEnv("KUBECONFIG", "");
  vi.stubEnv("NETCONFPATH", "/nowhere");
  vi.stubEnv("KUBERNETES_SERVICE_HOST", "");
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

const plan = (...args: string[]) => capture("plan", ...args);

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe("polynic plan", () => {
  test("lists every network of a pod in order, with what was asked for and where its config is", async () => {
    expect(await plan("-f", examples, "default/web")).toEqual({
      exitCode: 0,
      error: "",
      out: [
        "POD          INTERFACE  NETWORK             PLUGIN                     ASKED FOR                               CONFIG FROM",
        "default/web  eth0       default-network     bridge/host-local+portmap                                          delegates[0]",
        "             net1       default/lan-node-1  macvlan/host-local                                                 NetworkAttachmentDefinition default/lan-node-1",
        '             storage0   default/storage     macvlan/static             ips ["10.61.0.11/24","fd00:61::11/64"]  NetworkAttachmentDefinition default/storage',
        "",
      ].join("\n"),
    });
  });

  test("tells port mappings in short", async () => {
    const { out } = await plan("-f", examples, "shop");
    expect(out).toMatch(/ eth0 +default-network +bridge\/host-local\+portmap +portMappings 8082:80\/tcp +delegates/);
    expect(out).toContain("bridge/host-local+tuning+sbr+portmap  portMappings 8080:80/tcp, 8443:443/tcp  Network");
  });

  test("reads manifests as people paste them: quoted configs at the left edge, with comments over two lines", async () => {
    const path = file(
      "pasted.yaml",
      `---
apiVersion: "k8s.cni.cncf.io/v1"
kind: NetworkAttachmentDefinition
metadata:
  name: gke-network-1
spec:
  config: '{
  "type": "ipvlan",
  "master": "enp2342",  # defines the node interface that this pod interface would
                         map to.
  "mode": "l2",
  "ipam": {
    "type": "host-local",
    "subnet": "172.120.0.0/24"
  }
}'
---
kind: Pod
metadata: {name: samplepod, annotations: {k8s.v1.cni.cncf.io/networks: default/gke-network-1}}
`,
    );
    const { exitCode, out } = await plan("-f", path);
    expect([exitCode, out]).toEqual([0, expect.stringMatching(/net1 +default\/gke-network-1 +ipvlan\/host-local/)]);
  });

  test("gives configs and arguments in the machine's forms, and writes nothing", async () => {
    const { out } = await plan("-f", examples, "web", "-o", "json");
    const { pods, failures } = JSON.parse(out);
    expect(failures).toEqual([]);
    expect(pods[0].attachments[2]).toMatchObject({
      interface: "storage0",
      isDefault: false,
      args: expect.stringContaining("K8S_POD_NAME=web"),
      capabilityArgs: { ips: ["10.61.0.11/24", "fd00:61::11/64"] },
      config: { name: "storage", plugins: [{ type: "macvlan", ipam: { type: "static" } }] },
    });
    expect(Bun.YAML.parse((await plan("-f", examples, "web", "-o", "yaml")).out)).toEqual({ pods, failures });
    expect(existsSync(join(examples, ".state", "pods", "default", "web.yaml"))).toBe(false);
  });

  test("says why a pod would be refused, and plans the others", async () => {
    const path = file(
      "bad.yaml",
      "kind: Pod\nmetadata: {name: bad, annotations: {k8s.v1.cni.cncf.io/networks: lan-node-3}}\n",
    );
    const { exitCode, out, error } = await plan("-f", examples, "-f", path);
    expect(exitCode).toBe(1);
    expect(error).toMatch(/^default\/bad: .*lan-node-3.*did you mean lan-node-1, lan-node-2\?.*\n$/);
    expect(out).toContain("default/cache");
  });

  test("refuses a network whose ipam section ADD would refuse, and warns of plugins that are not there", async () => {
    const network = (name: string, ipam: object) => ({
      apiVersion: "k8s.cni.cncf.io/v1",
      kind: "NetworkAttachmentDefinition",
      metadata: { name },
      spec: { config: JSON.stringify({ cniVersion: "1.0.0", type: "macvlan", ipam }) },
    });
    const pod = (name: string) => ({
      kind: "Pod",
      metadata: { name, annotations: { "k8s.v1.cni.cncf.io/networks": name } },
    });
    const objects = [
      network("empty", { type: "host-local" }),
      pod("empty"),
      network("odd", { type: "host-locla" }),
      pod("odd"),
      network("slip", { type: "host-local", rangs: [] }),
      pod("slip"),
    ];
    const path = file("ipam.yaml", objects.map((object) => JSON.stringify(object)).join("\n---\n"));
    const { exitCode, out, error } = await plan("-f", path);
    expect(exitCode).toBe(1);
    expect(out).toMatch(/^default\/odd /m);
    expect(error.split("\n")).toEqual([
      expect.stringMatching(
        /^default\/odd: warning: failed to find plugin "host-locla" in path .*the pod's node needs it; did you mean host-local\?$/,
      ),
      "default/empty: network default/empty (interface net1): macvlan/host-local: no IP ranges specified (at $.ipam); expected ipam.ranges or ipam.subnet",
      "default/slip: network default/slip (interface net1): macvlan/host-local: no IP ranges specified (at $.ipam); expected ipam.ranges or ipam.subnet; " +
        "network default/slip (interface net1): macvlan: $.ipam.rangs: nobody reads this key; did you mean ranges?",
      "",
    ]);
  });

  test("warns of keys that are a slip away from one that is read", async () => {
    const config = { cniVersion: "1.0.0", type: "macvlan", mod: "vepa" };
    const pod = {
      metadata: { name: "p", annotations: { "k8s.v1.cni.cncf.io/networks": '[{"name":"n","interfaces":"a0"}]' } },
    };
    const path = file(
      "slips.yaml",
      [
        {
          apiVersion: "k8s.cni.cncf.io/v1",
          kind: "NetworkAttachmentDefinition",
          metadata: { name: "n" },
          spec: { config: JSON.stringify(config) },
        },
        { kind: "Pod", ...pod },
      ]
        .map((object) => JSON.stringify(object))
        .join("\n---\n"),
    );
    const delegates = [{ cniVersion: "1.0.0", name: "mine", type: "macvlan" }];
    const conf = file(
      "slips.conf",
      JSON.stringify({ cniVersion: "1.0.0", name: "m", type: "multus", logLevle: "debug", delegates }),
    );
    const { exitCode, error } = await plan("-f", path, "--conf", conf);
    expect(exitCode).toBe(0);
    expect(error.split("\n")).toEqual([
      `note: ${conf}: $.logLevle: nobody reads this key; did you mean logLevel?`,
      "default/p: warning: network default/n (interface net1): macvlan: $.mod: nobody reads this key; did you mean mode?",
      "default/p: warning: annotation k8s.v1.cni.cncf.io/networks: $[0].interfaces: nobody reads this key; did you mean interface?",
      "",
    ]);
  });

  test("takes pods from the folder that the config names", async () => {
    const conf = file(
      "net.conf",
      JSON.stringify({
        cniVersion: "1.0.0",
        name: "mine",
        type: "multus",
        manifests: examples,
        delegates: [{ cniVersion: "1.0.0", name: "mine", type: "macvlan" }],
      }),
    );
    const { out } = await plan("--conf", conf, "api");
    expect(out).toContain("default/api  eth0       mine                macvlan");
  });

  test.each<[string, () => string[], string]>([
    ["no manifests", () => [], "name the manifests with -f FILE"],
    [
      "a pod that is not there",
      () => ["-f", examples, "wep"],
      "no pod default/wep in the manifests; they have default/",
    ],
    [
      "a config without a dispatcher",
      () => ["-f", examples, "--conf", file("b.conf", '{"cniVersion":"1.0.0","name":"b","type":"bridge"}')],
      "has no plugin of type multus",
    ],
    [
      "a config that the dispatcher refuses",
      () => ["-f", examples, "--conf", file("m.conf", '{"cniVersion":"1.0.0","name":"m","type":"multus"}')],
      "m.conf: multus config: at least one delegate",
    ],
  ])("%s is bad input: one line and exit code 2", async (_, args, want) => {
    const { exitCode, out, error } = await plan(...args());
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
    expect(error).toContain(want);
    expect(error.trimEnd()).not.toContain("\n");
  });
});
