// The rules of the NPWG multi-network specification 1.3, a test for each, through the compiled executable and a real API server. The plugin
// "recorder" stands for any plugin: it writes down what it is called with. Devices (M35 to M38) have tests of their own.
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { CniOutcome } from "../kit/cni-caller.ts";
import { errorOf, type Json, type SiteCall, type SitePod } from "../kit/multus-site.ts";
import { useApiSite } from "./use-site.ts";

const site = useApiSite();

interface Recorded {
  readonly command: string;
  readonly ifName: string;
  readonly containerId: string;
  readonly args: string;
  readonly config: Json;
}

/** An ADD answers with an interface (which it does not make) and the addresses of `addresses`; `fails` makes that verb fail. */
const recorder = [
  'seen="${0%/*}/../seen"; mkdir -p "$seen"; config=$(cat)',
  'number=$(printf "%04d" "$(ls "$seen" | wc -l)")',
  'printf \'{"command":"%s","ifName":"%s","containerId":"%s","args":"%s","config":%s}\' "$CNI_COMMAND" "$CNI_IFNAME" "$CNI_CONTAINERID" "$CNI_ARGS" "$config" > "$seen/$number"',
  'case "$config" in *\'"fails":"\'$CNI_COMMAND\'"\'*) echo \'{"code":100,"msg":"told to fail"}\'; exit 1;; esac',
  '[ "$CNI_COMMAND" = ADD ] || exit 0',
  'version=$(printf "%s" "$config" | sed -n \'s/.*"cniVersion":"\\([0-9.]*\\)".*/\\1/p\')',
  'printf \'{"cniVersion":"%s","interfaces":[{"name":"%s","mac":"02:00:00:00:00:01","sandbox":"%s"}],"ips":[{"address":"10.0.0.2/24","interface":0}],"dns":{"nameservers":["10.0.0.53"]}}\' "${version:-1.0.0}" "$CNI_IFNAME" "$CNI_NETNS"',
];

const config = (name: string, over: Json = {}): Json => ({ cniVersion: "1.0.0", name, type: "recorder", ...over });

beforeAll(async () => {
  site().local.script("recorder", ...recorder);
  for (const name of ["a", "b", "c"]) await site().network(name, config(`net-${name}`));
  await site().network(
    "able",
    config("able", { capabilities: { ips: true, mac: true, portMappings: true, bandwidth: true } }),
  );
});
beforeEach(() => rmSync(site().local.path("seen"), { recursive: true, force: true }));

const base: Json = { delegates: [config("cluster")] };

async function add(pod: SitePod, over: SiteCall = {}): Promise<CniOutcome> {
  return await site().call("ADD", pod, { ...over, conf: { ...base, ...(over.conf as Json | undefined) } });
}

async function del(pod: SitePod): Promise<CniOutcome> {
  return await site().call("DEL", pod, { conf: base });
}

function seen(): Recorded[] {
  const folder = site().local.path("seen");
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((name) => JSON.parse(readFileSync(`${folder}/${name}`, "utf8")) as Recorded);
}

/** ADD of a pod with that annotation, which must succeed; what the plugins were called with, the default network's call left out. */
async function attached(networks: unknown, conf: Json = {}): Promise<{ pod: SitePod; calls: Recorded[] }> {
  const pod = await site().pod(networks);
  expect(await add(pod, { conf })).toMatchObject({ exitCode: 0 });
  return { pod, calls: seen().slice(1) };
}

/** ADD of a pod with that annotation, which must fail without anything attached but what is named. */
async function refused(networks: unknown, conf: Json = {}): Promise<string> {
  const pod = await site().pod(networks);
  const { msg, details = "" } = errorOf(await add(pod, { conf }));
  expect(await site().status(pod)).toBeUndefined();
  return `${msg}; ${details}`;
}

describe("the object", () => {
  test("M1: the definition has the group, the names and the short names", async () => {
    const name = "network-attachment-definitions.k8s.cni.cncf.io";
    const definition = await site().admin.send(
      "GET",
      `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`,
    );
    expect(definition["spec"]).toMatchObject({
      group: "k8s.cni.cncf.io",
      scope: "Namespaced",
      names: {
        kind: "NetworkAttachmentDefinition",
        plural: "network-attachment-definitions",
        singular: "network-attachment-definition",
        shortNames: ["nad", "net-attach-def"],
      },
      versions: [{ name: "v1", served: true, storage: true }],
    });
  });
  test("M1: spec and config are optional", async () => {
    await site().network("empty", "");
    expect(await refused("empty")).toContain("has an empty spec, so a file with its name is needed");
  });
  test("M2: spec.config, else a list of that name on the node, else a single config of that name", async () => {
    const file = (name: string, over: Json) => site().local.folder.write(`net.d/${name}`, { ...config("x"), ...over });
    await site().network("on-node", "");
    file("10-single.conf", { name: "on-node", from: "conf" });
    expect((await attached("on-node")).calls[0]?.config).toMatchObject({ from: "conf" });
    site().local.folder.write("net.d/20-list.conflist", {
      cniVersion: "1.0.0",
      name: "on-node",
      plugins: [{ type: "recorder", from: "conflist" }],
    });
    rmSync(site().local.path("seen"), { recursive: true });
    expect((await attached("on-node")).calls[0]?.config).toMatchObject({ from: "conflist" });
    rmSync(site().local.path("net.d"), { recursive: true });
    expect(await refused("on-node")).toContain("on-node");
  });
  test("M3: a config without a name gets the definition's", async () => {
    const { name: _, ...nameless } = config("x");
    await site().network("nameless", nameless);
    expect((await attached("nameless")).calls[0]?.config).toMatchObject({ name: "nameless" });
  });
  test("M4: a name with dots can be had in the JSON form", async () => {
    await site().network("with.dots", config("dots"));
    expect((await attached([{ name: "with.dots" }])).calls).toHaveLength(1);
  });
  test("M5: each plugin of a list gets version, name and the previous result", async () => {
    const plugins = [{ type: "recorder" }, { type: "recorder" }];
    await site().network("list", { cniVersion: "1.0.0", name: "listed", plugins });
    const { calls } = await attached("list");
    expect(calls.map(({ config }) => [config["cniVersion"], config["name"], "prevResult" in config])).toEqual([
      ["1.0.0", "listed", false],
      ["1.0.0", "listed", true],
    ]);
  });
});

describe("the annotation", () => {
  test.each<[string, unknown]>([
    ["M6: a comma list", "a,b"],
    ["M6: a JSON list", [{ name: "a" }, { name: "b" }]],
    ["M7: an unqualified name is of the pod's namespace", "a, b"],
    [
      "M8: keys of others are passed over",
      [
        { name: "a", "example.com/x": 1 },
        { name: "b", "other.example/y": {} },
      ],
    ],
  ])("%s", async (_, networks) => {
    const { calls } = await attached(networks);
    expect(calls.map(({ config }) => config["name"])).toEqual(["net-a", "net-b"]);
  });
  test("M7: a qualified name is of the namespace that it says", async () => {
    const { pod, calls } = await attached(`${site().namespace}/a`);
    expect(calls).toHaveLength(1);
    expect(await site().status(pod)).toMatchObject([{ default: true }, { name: `${site().namespace}/a` }]);
  });
  test("M9: a name is required", async () => {
    expect(await refused([{ interface: "x" }])).toContain("name");
  });
  test.each<[string, Json, Json]>([
    ["M10: ips", { ips: ["10.1.2.3/24"] }, { ips: ["10.1.2.3/24"] }],
    ["M11: mac", { mac: "02:11:22:33:44:55" }, { mac: "02:11:22:33:44:55" }],
    [
      "M12: portMappings, with TCP where no protocol is given",
      { portMappings: [{ hostPort: 8080, containerPort: 80 }] },
      { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] },
    ],
    [
      "M13: bandwidth",
      { bandwidth: { ingressRate: 1000, ingressBurst: 500, egressRate: 2000, egressBurst: 600 } },
      { bandwidth: { ingressRate: 1000, ingressBurst: 500, egressRate: 2000, egressBurst: 600 } },
    ],
  ])("%s reach a plugin that has the capability", async (_, wish, runtimeConfig) => {
    const { calls } = await attached([{ name: "able", ...wish }]);
    expect(calls[0]?.config["runtimeConfig"]).toMatchObject(runtimeConfig);
  });
  test.each<[string, Json]>([
    ["M10: ips", { ips: ["10.1.2.3/24"] }],
    ["M11: mac", { mac: "02:11:22:33:44:55" }],
    ["M12: portMappings", { portMappings: [{ hostPort: 8080, containerPort: 80 }] }],
    ["M13: bandwidth", { bandwidth: { ingressRate: 1000, ingressBurst: 500 } }],
    ["M14: infiniband-guid", { "infiniband-guid": "c2:11:22:33:44:55:66:77" }],
  ])("%s that no plugin can honour: a warning, or a refusal where the config says so", async (name, wish) => {
    const { pod } = await attached([{ name: "a", ...wish }]);
    const key = name.split(": ")[1] ?? "";
    expect(
      (await site().events(pod)).filter((event) => event.startsWith("Warning") && event.includes(key)),
    ).toHaveLength(1);
    expect(await refused([{ name: "a", ...wish }], { missingCapability: "fail" })).toContain(key);
  });
  test.each<[string, Json]>([
    ["M10: an address that is none", { ips: ["10.1.2"] }],
    ["M11: a MAC of another length", { mac: "02:11:22:33:44:55:66:77" }],
    ["M12: a port that is none", { portMappings: [{ hostPort: 0, containerPort: 80 }] }],
    ["M12: a protocol that is none", { portMappings: [{ hostPort: 1, containerPort: 80, protocol: "icmp" }] }],
    ["M13: a burst without its rate", { bandwidth: { ingressBurst: 500 } }],
    ["M14: a GUID of another length", { "infiniband-guid": "c2:11:22:33:44:55" }],
  ])("%s is refused", async (_, wish) => {
    await refused([{ name: "able", ...wish }]);
    expect(seen()).toEqual([]);
  });
  test("M15: interface names the interface", async () => {
    expect((await attached([{ name: "a", interface: "data0" }])).calls[0]?.ifName).toBe("data0");
  });
  test("M15: one that is taken fails the attachment", async () => {
    expect(await refused([{ name: "a", interface: "eth0" }])).toContain("eth0");
  });
  test("M16: cni-args are merged into args, and the pod's win", async () => {
    await site().network("argued", config("argued", { args: { cni: { x: "network", y: "network" }, other: 1 } }));
    const { calls } = await attached([{ name: "argued", "cni-args": { x: "pod" } }]);
    expect(calls[0]?.config["args"]).toEqual({ cni: { x: "pod", y: "network" }, other: 1 });
  });
  test("M17: two networks can't both have the default route of one family", async () => {
    const wish = { "default-route": ["10.0.0.1"] };
    expect(
      await refused([
        { name: "a", ...wish },
        { name: "b", ...wish },
      ]),
    ).toContain("default-route");
    expect(seen()).toEqual([]);
  });
  test("M18: an IPAMClaim is passed on", async () => {
    const { calls } = await attached([{ name: "able", "ipam-claim-reference": "claim-1" }]);
    expect(JSON.stringify(calls[0]?.config)).toContain("claim-1");
  });
  test.each(["a,", "a b", "a/b/c", "a@x@y", "A", "[", '{"name": "a"}', '["a", 5]'])(
    "M19: an annotation that breaks the grammar fails the pod, with nothing attached: %s",
    async (networks) => {
      expect(await refused(networks)).toContain("annotation k8s.v1.cni.cncf.io/networks: ");
      expect(seen()).toEqual([]);
    },
  );
  test("M20: the same network twice: two attachments, two elements of the status", async () => {
    const { pod, calls } = await attached("a,a");
    expect(calls.map(({ ifName }) => ifName)).toEqual(["net1", "net2"]);
    expect(await site().status(pod)).toHaveLength(3);
  });
  test("M21: ADD and DEL have the same container, network and interface", async () => {
    const { pod } = await attached([{ name: "a" }, { name: "b", interface: "data0" }]);
    expect(await del(pod)).toMatchObject({ exitCode: 0 });
    const of = (command: string) =>
      seen()
        .filter((call) => call.command === command)
        .map(({ containerId, ifName, config }) => [containerId, config["name"], ifName].join(" "))
        .sort();
    expect(of("DEL")).toEqual(of("ADD"));
    expect(of("DEL")).toHaveLength(3);
  });
});

describe("the status", () => {
  test("M22 to M26: a list of maps with name, interface, ips, mac and dns; exactly one is the default", async () => {
    const { pod } = await attached("a");
    const ns = site().namespace;
    const common = { ips: ["10.0.0.2"], mac: "02:00:00:00:00:01", dns: { nameservers: ["10.0.0.53"] } };
    expect(await site().status(pod)).toEqual([
      { name: "cluster", interface: "eth0", ...common, default: true },
      { name: `${ns}/a`, interface: "net1", ...common },
    ]);
  });
});

describe("the order of things", () => {
  test("M27, M31: the default network first, then the pod's in their order, one after the other", async () => {
    const { pod, calls } = await attached("c,a,b");
    expect(calls.map(({ config }) => config["name"])).toEqual(["net-c", "net-a", "net-b"]);
    expect(seen()[0]?.config["name"]).toBe("cluster");
    rmSync(site().local.path("seen"), { recursive: true });
    await del(pod);
    expect(seen().map(({ config }) => config["name"])).toEqual(["net-b", "net-a", "net-c", "cluster"]);
  });
  test("M28: a default network that is not ready blocks", async () => {
    const answer = await site().call("STATUS", await site().pod(), {
      conf: {
        ...base,
        delegates: [config("cluster", { cniVersion: "1.1.0" })],
        readinessindicatorfile: "/nowhere/ready",
      },
    });
    expect(errorOf(answer)).toMatchObject({ code: 50 });
  });
  test("M29: the first failure ends the ADD; networks behind it are not tried, those before it are taken back", async () => {
    await site().network("failing", config("failing", { fails: "ADD" }));
    expect(await refused("a,failing,b")).toContain("told to fail");
    const calls = seen().map(({ command, config }) => `${command} ${String(config["name"])}`);
    expect(calls).not.toContain("ADD net-b");
    expect(calls).toContain("DEL net-a");
    expect(calls).toContain("DEL cluster");
  });
  test("M30: DEL undoes all that was attempted, and fails at the end when one failed", async () => {
    await site().network("clinging", config("clinging", { fails: "DEL" }));
    const { pod } = await attached("a,clinging,b");
    rmSync(site().local.path("seen"), { recursive: true });
    expect(errorOf(await del(pod)).msg).toContain("told to fail");
    expect(seen().map(({ config }) => config["name"])).toEqual(["net-b", "clinging", "net-a", "cluster"]);
  });
  test("M32: a network that policy forbids fails the pod", async () => {
    const conf = { namespaceIsolation: true, globalNamespaces: "shared" };
    expect(await refused("kube-system/a", conf)).toContain("annotation violates permission");
    expect(seen()).toEqual([]);
  });
  test("M33: what the runtime says of capabilities is for the default network only", async () => {
    const capable = { capabilities: { portMappings: true, ips: true } };
    const runtimeConfig = { portMappings: [{ hostPort: 80, containerPort: 80, protocol: "tcp" }] };
    const { calls } = await attached("able", { delegates: [config("cluster", capable)], runtimeConfig });
    expect(seen()[0]?.config["runtimeConfig"]).toMatchObject(runtimeConfig);
    expect(calls[0]?.config["runtimeConfig"]).toBeUndefined();
  });
});
