// Multus' end-to-end tests, without kubelet: the runtime's calls are made by the test.
import { mkdirSync } from "node:fs";
import { expect } from "vitest";
import type { ApiSite } from "../../kit/api-site.ts";
import { mustCallCni } from "../../kit/cni-caller.ts";
import type { Json } from "../../kit/multus-site.ts";
import { attached, main, type Theme, version } from "./world.ts";

const fixed = (name: string, address: string, over: object = {}) => ({
  ...version,
  name,
  plugins: [
    {
      type: "macvlan",
      master: "eth0",
      capabilities: { ips: true },
      ipam: { type: "static", addresses: [{ address, gateway: "10.151.0.254" }] },
      ...over,
    },
    { type: "tuning" },
  ],
});

/** A default network with a default route. */
const cluster = (here: ApiSite): Json => ({ delegates: here.local.conf()["delegates"] });

const gatewayOf = (routes: string): string | undefined => /^default via (\S+)/m.exec(routes)?.[1];

export const e2e: readonly Theme[] = [
  {
    suite: "e2e",
    theme: "simple-pod: a pod without an annotation has the default network, and its status says so",
    async holds(here) {
      const { status } = await attached(here, "", { conf: cluster(here) });
      expect(status).toMatchObject([{ name: "default-net", interface: "eth0", default: true }]);
    },
  },
  {
    suite: "e2e",
    theme: "simple-macvlan: a list of macvlan and tuning gives two pods the addresses that they ask for, and they meet",
    async holds(here) {
      await here.network("macvlan-static", fixed("macvlan-static", "10.151.0.1/24"));
      const pods = [];
      for (const ip of ["10.151.0.11", "10.151.0.12"]) {
        const pod = await here.pod([{ name: "macvlan-static", ips: [`${ip}/24`] }]);
        await mustCallCni(here.cniCall("ADD", pod));
        expect((await here.status(pod))?.[1]).toMatchObject({ interface: "net1", ips: [ip] });
        pods.push(pod);
      }
      expect(pods[0]?.netns.reaches("10.151.0.12")).toBe(true);
      for (const pod of pods) await mustCallCni(here.cniCall("DEL", pod));
    },
  },
  {
    suite: "e2e",
    theme:
      "default-route1: the same network takes the pod's default route when it is asked to, and leaves it otherwise",
    async holds(here) {
      await here.network("routed", fixed("routed", "10.151.0.21/24"));
      const gateway = async (element: object) => {
        let found: string | undefined;
        await attached(here, [{ name: "routed", ...element }], {
          conf: cluster(here),
          look: (pod) => void (found = gatewayOf(pod.netns.run("ip", "route"))),
        });
        return found;
      };
      expect(await gateway({ "default-route": ["10.151.0.254"] })).toBe("10.151.0.254");
      expect(await gateway({})).toBe("10.1.0.1");
    },
  },
  {
    suite: "e2e",
    theme: "static-pod: a pod from a file, whose uid the API server's mirror does not have, gets its bridge",
    async holds(here) {
      const ipam = { type: "host-local", dataDir: here.local.path("leases"), subnet: "10.152.0.0/24" };
      await here.network("bridged", { ...version, name: "bridged", type: "bridge", bridge: "br-static", ipam });
      const pod = await here.pod("bridged", { "kubernetes.io/config.source": "file" });
      const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=${pod.namespace};K8S_POD_NAME=${pod.name};K8S_POD_UID=of-kubelet`;
      await mustCallCni(here.cniCall("ADD", pod, { args }));
      expect((await here.status(pod))?.[1]).toMatchObject({ interface: "net1", ips: ["10.152.0.2"] });
      await mustCallCni(here.cniCall("DEL", pod, { args }));
      here.local.node.ip("link del br-static");
    },
  },
  {
    suite: "e2e",
    theme: "connection-limit: six pods at once are all attached, without any limit",
    async holds(here) {
      await here.network("many", here.local.macvlan("many", "10.153.0.0/24"));
      const pods = await Promise.all(Array.from({ length: 6 }, () => here.pod("many")));
      await Promise.all(pods.map((pod) => mustCallCni(here.cniCall("ADD", pod))));
      const addresses = await Promise.all(pods.map(async (pod) => (await here.status(pod))?.[1]?.["ips"]));
      expect(new Set(addresses.flat()).size).toBe(6);
      await Promise.all(pods.map((pod) => mustCallCni(here.cniCall("DEL", pod))));
    },
  },
  {
    suite: "e2e",
    theme: "subdirectory-chaining: plugins in the folder of the cluster network's name run in its chain",
    async holds(here) {
      const list = { ...version, name: "kindnet", plugins: [here.local.macvlan("", "10.154.0.0/24")] };
      const clusterNetwork = here.local.folder.write("cluster/10-kindnet.conflist", list);
      const tuning = { type: "tuning", sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" } };
      here.local.folder.write("cluster/kindnet/tuning.conf", { ...version, name: "kindnet", ...tuning });
      await attached(here, "", {
        conf: { delegates: undefined, clusterNetwork },
        look: (pod) => expect(pod.netns.run("cat", "/proc/sys/net/ipv4/conf/eth0/arp_filter").trim()).toBe("1"),
      });
    },
  },
  {
    suite: "e2e",
    theme: "subdirectory-chaining-passthru: a chain of a vendor runs last, for eth0 if it says so",
    async holds(here) {
      const clusterNetwork = here.local.folder.write(
        "vendor/10-cluster.conf",
        here.local.macvlan("c", "10.155.0.0/24"),
      );
      mkdirSync(here.local.path("vendor/vendor-cni-chain"), { recursive: true });
      const tuning = { type: "tuning", sysctl: { "net.ipv4.conf.eth0.arp_filter": "1" } };
      here.local.folder.write("vendor/vendor-cni-chain/tuning.conf", { ...version, name: "vendor", ...tuning });
      const conf = {
        delegates: undefined,
        clusterNetwork,
        auxiliaryCNIChainName: "vendor-cni-chain",
      };
      const { status } = await attached(here, "", {
        conf,
        look: (pod) => expect(pod.netns.run("cat", "/proc/sys/net/ipv4/conf/eth0/arp_filter").trim()).toBe("1"),
      });
      expect(status).toHaveLength(1);
    },
  },
  {
    suite: "e2e",
    theme: "upgrade (missing there): a pod of one site is deleted by a process that has no config left but cniDir",
    async holds(here) {
      await here.network("kept", here.local.macvlan("kept", "10.156.0.0/24"));
      const pod = await here.pod("kept");
      const before = here.local.kernel(pod);
      await mustCallCni(here.cniCall("ADD", pod));
      await mustCallCni(here.cniCall("DEL", pod, { conf: { ...main, kubeconfig: "/nowhere" } }));
      expect(here.local.remains(before, pod)).toEqual([]);
    },
  },
];
