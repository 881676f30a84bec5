// The suites of packages types, netutils, kubeletclient, checkpoint and logging: what configs say, and what becomes of it.
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { FakeKubelet } from "../../../src/cluster/kubelet/fake-kubelet.test-data.ts";
import type { ApiSite } from "../../kit/api-site.ts";
import type { Json } from "../../kit/multus-site.ts";
import { attached, main, recorded, refusal, type Theme, version } from "./world.ts";

const resource = "example.com/nic";

/** A network that takes a device of `resource`; in a list when it has plugins. */
async function deviceNetwork(here: ApiSite, name: string, plugins?: readonly Json[]): Promise<string> {
  const config = { ...version, ...(plugins === undefined ? { type: "recorder" } : { name, plugins }) };
  await here.network(name, config, { "k8s.v1.cni.cncf.io/resourceName": resource });
  return name;
}

/** A kubelet that has assigned devices to whichever pod comes next, by what `set` does with it. */
async function withKubelet(here: ApiSite, body: (kubelet: FakeKubelet, conf: Json) => Promise<void>): Promise<void> {
  const kubelet = new FakeKubelet(here.local.path("kubelet"));
  try {
    await body(kubelet, { kubeletDir: kubelet.path });
  } finally {
    await kubelet.close();
  }
}

/** The pod that `ApiSite.pod` makes next. */
async function nextPod(here: ApiSite): Promise<string> {
  const { name } = await here.pod();
  return `pod-${Number(name.slice(4)) + 1}`;
}

interface Routes {
  readonly routes?: readonly { readonly dst: string; readonly gw?: string }[];
}

interface CachedRoutes extends Routes {
  readonly ip4?: Routes;
  readonly ip6?: Routes;
}

const idsOf = (adds: readonly { readonly config: Json }[]): unknown[][] =>
  adds.slice(1).map(({ config }) => [config["deviceID"], config["pciBusID"]]);

export const valueThemes: readonly Theme[] = [
  {
    suite: "types",
    theme: "a config without a default network, of a wrong type, or with an empty list is refused with its place",
    async holds(here) {
      for (const [conf, words] of [
        [{ delegates: [] }, "at least one delegate/clusterNetwork must be specified"],
        [{ delegates: {} }, "$.delegates: expected an array"],
        [{ delegates: [{ name: "x" }] }, "$.delegates[0]: delegate must have the 'type' or 'plugin' field"],
        [{ delegates: [{ name: "x", plugins: [] }] }, "$.delegates[0].plugins: the list is empty"],
        [{ namespaceIsolation: "yes" }, "$.namespaceIsolation: expected true or false"],
      ] as const)
        expect(await refusal(here, "", { conf })).toContain(words);
    },
  },
  {
    suite: "types",
    theme: "global namespaces are a list with or without blanks, in place of default",
    async holds(here) {
      const conf = { namespaceIsolation: true, globalNamespaces: " a ,b" };
      expect(await refusal(here, "default/x", { conf })).toContain(`namespace ${here.namespace} or a or b`);
      expect(await refusal(here, "b/x", { conf })).toContain("cannot find ");
    },
  },
  {
    suite: "types",
    theme: "deviceID and pciBusID go into a config, and into every plugin of a list",
    async holds(here) {
      const [one, two] = [await deviceNetwork(here, "d-one"), "d-list"];
      await deviceNetwork(here, two, [{ type: "recorder" }, { type: "recorder", pciBusID: "x" }]);
      await withKubelet(here, async (kubelet, conf) => {
        const pod = { namespace: here.namespace, name: await nextPod(here) };
        await kubelet.listen([{ ...pod, containers: [{ devices: [[resource, ["b", "a"]]] }] }]);
        const { adds } = await attached(here, `${one},${two}`, { conf });
        expect(idsOf(adds)).toEqual([
          ["b", "b"],
          ["a", "a"],
          ["a", "a"],
        ]);
      });
    },
  },
  {
    suite: "types",
    theme: "cni-args are merged into args.cni of every plugin, and win",
    async holds(here) {
      const plugins = [{ type: "recorder", args: { cni: { a: 1, b: 1 }, other: 2 } }, { type: "recorder" }];
      await here.network("argued", { ...version, name: "argued", plugins });
      const { adds } = await attached(here, [{ name: "argued", "cni-args": { b: 3 } }]);
      expect(adds.slice(1).map(({ config }) => config["args"])).toEqual([
        { cni: { a: 1, b: 3 }, other: 2 },
        { cni: { b: 3 } },
      ]);
    },
  },
  {
    suite: "types",
    theme: "CNI_ARGS carry the pod's keys, what the runtime has sent beside them, and the element's MAC and IP",
    async holds(here) {
      const name = await recorded(here);
      const args = (pod: { name: string }) =>
        `IgnoreUnknown=1;K8S_POD_NAMESPACE=${here.namespace};K8S_POD_NAME=${pod.name};CUSTOM=x`;
      const element = { name, mac: "02:00:00:00:00:07", ips: ["10.1.2.3/24", "10.1.2.4"] };
      const { adds, pod } = await attached(here, [element], { args });
      expect(adds[1]?.args.split(";")).toEqual([
        "IgnoreUnknown=true",
        `K8S_POD_NAMESPACE=${here.namespace}`,
        `K8S_POD_NAME=${pod.name}`,
        "K8S_POD_INFRA_CONTAINER_ID=",
        "K8S_POD_UID=",
        "CUSTOM=x",
        "MAC=02:00:00:00:00:07",
        "IP=10.1.2.3/24,10.1.2.4",
      ]);
    },
  },
  {
    suite: "types",
    theme: "default-route: none, an empty list, one gateway, one of each family",
    async holds(here) {
      const subnets = (number: number) => ({
        ipam: {
          ranges: [[{ subnet: `10.${number}.0.0/24` }], [{ subnet: `fd00:${number}::/64` }]],
          routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
        },
      });
      const conf = { delegates: [here.local.macvlan("main", "", subnets(161))] };
      await here.network("way", here.local.macvlan("way", "", subnets(162)));
      const [a4, a6, b4, b6] = ["10.161.0.1 eth0", "fd00:161::1 eth0", "10.162.0.1 net1", "fd00:162::1 net1"];
      for (const [wish, want] of [
        [undefined, [a4, a6, b4, b6]],
        [[], [b4, b6]],
        [["10.162.0.1"], [b4, a6, b6]],
        [
          ["10.162.0.1", "fd00:162::1"],
          [b4, b6],
        ],
      ] as const) {
        const element = wish === undefined ? {} : { "default-route": wish };
        let found: string[] = [];
        await attached(here, [{ name: "way", ...element }], {
          conf,
          look: ({ netns }) => {
            const routes = `${netns.run("ip", "route")}${netns.run("ip", "-6", "route")}`;
            found = [...routes.matchAll(/(?:^default|^\tnexthop) via (\S+) dev (\S+)/gm)].map(
              ([, via, dev]) => `${via} ${dev}`,
            );
          },
        });
        expect([wish, new Set(found)]).toEqual([wish, new Set(want)]);
      }
    },
  },
  ...["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"].map((cniVersion): Theme => ({
    suite: "netutils",
    theme: `a default route that goes and one that comes are in the cached results of version ${cniVersion}, of either family`,
    async holds(here) {
      const net = (number: number, over: Json = {}) => ({
        ...here.local.macvlan(`cached-${number}`, "", {
          ipam: {
            ranges: [[{ subnet: `10.${number}.0.0/24` }], [{ subnet: `fd00:${number}::/64` }]],
            routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
          },
        }),
        cniVersion,
        ...over,
      });
      const name = `cached-${cniVersion}`;
      await here.network(name, net(164));
      await attached(here, [{ name, "default-route": ["10.164.0.1", "fd00:164::1"] }], {
        conf: { delegates: [net(163)] },
        look: ({ containerId }) => {
          const routes = (ifName: string, network: string) => {
            const file = here.local.path("cni", "results", `${network}-${containerId}-${ifName}`);
            const { result } = JSON.parse(readFileSync(file, "utf8")) as { result: CachedRoutes };
            // Until 0.2.0 each family has its own.
            const { routes = [], ip4, ip6 } = result;
            return [...routes, ...(ip4?.routes ?? []), ...(ip6?.routes ?? [])].map(({ dst, gw }) =>
              `${dst} ${gw ?? ""}`.trim(),
            );
          };
          expect(routes("eth0", "cached-163")).toEqual([]);
          expect(routes("net1", "cached-164").toSorted()).toEqual(["0.0.0.0/0 10.164.0.1", "::/0 fd00:164::1"]);
        },
      });
    },
  })),
  {
    suite: "kubeletclient",
    theme: "devices of plugins and of claims come from the socket; garbage there is told, and the checkpoint asked",
    async holds(here) {
      const name = await deviceNetwork(here, "k-nic");
      await here.network(
        "k-claim",
        { ...version, type: "recorder" },
        { "k8s.v1.cni.cncf.io/resourceName": "my-claim" },
      );
      await withKubelet(here, async (kubelet, conf) => {
        const claims = [{ name: "my-claim", driver: "d", cdiDevices: ["v/c=0000:04:00.1"] }];
        const pod = { namespace: here.namespace, name: await nextPod(here) };
        await kubelet.listen([{ ...pod, containers: [{ devices: [[resource, ["a"]]], claims }] }]);
        expect(idsOf((await attached(here, `${name},k-claim`, { conf })).adds)).toEqual([
          ["a", "a"],
          ["0000:04:00.1", "0000:04:00.1"],
        ]);
        await kubelet.listen((stream) => stream.end("garbage"));
        expect(await refusal(here, name, { conf })).toContain(`there is no ${kubelet.path}/device-plugins/`);
      });
    },
  },
  {
    suite: "checkpoint",
    theme: "without a socket the checkpoint tells a pod's devices by its uid; what can't be read there is told",
    async holds(here) {
      const name = await deviceNetwork(here, "c-nic");
      await withKubelet(here, async (kubelet, conf) => {
        kubelet.checkpoint([{ PodUID: "of-kubelet", ResourceName: resource, DeviceIDs: { "-1": ["from-file"] } }]);
        const annotations = { "kubernetes.io/config.source": "file" };
        const args = (pod: { name: string }) =>
          `K8S_POD_NAMESPACE=${here.namespace};K8S_POD_NAME=${pod.name};K8S_POD_UID=of-kubelet`;
        expect(idsOf((await attached(here, name, { conf, annotations, args })).adds)).toEqual([
          ["from-file", "from-file"],
        ]);
        kubelet.checkpoint("{");
        expect(await refusal(here, name, { conf })).toContain("kubelet_internal_checkpoint: line 1");
      });
    },
  },
  {
    suite: "logging",
    theme: "levels, a file and stderr: each has what the config says, and an unknown level is told",
    async holds(here) {
      const logFile = here.local.path("multus.log");
      const lines = async (over: Json) => {
        const { outcome } = await attached(here, "", { conf: { logFile, ...over } });
        return outcome.stderr;
      };
      expect(await lines({ logLevel: "verbose", logToStderr: false })).toBe("");
      expect(readFileSync(logFile, "utf8")).toMatch(/^\S+ \[verbose\] Add: main eth0/m);
      expect(await lines({ logLevel: "VERBOSE" })).toContain("[verbose] Add: main eth0");
      expect(await lines({ logLevel: "loud" })).toContain('$.logLevel: "loud" is none of debug, verbose, error, panic');
      expect(await lines({ logLevel: "panic", ...main })).toBe("");
    },
  },
];
