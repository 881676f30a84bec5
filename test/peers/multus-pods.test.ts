// Pods of an API server by Go Multus, the same pods of a directory by ours: results, status, events, and the journals that either reads.
import { describe, expect, test } from "vitest";
import { callCni, mustCallCni } from "../kit/cni-caller.ts";
import { errorOf, type Json, type MultusSite, type SiteCall, type SitePod, useSite } from "../kit/multus-site.ts";
import { normalise } from "../kit/normalise.ts";
import { peerTools } from "../kit/peer-tools.ts";
import { ApiStandIn } from "./api-stand-in.ts";

const site = useSite();

/** The pods' networks: single configs and lists, with and without cniVersion, with and without a name. */
function prepare(here: MultusSite): Json {
  here.network("single", here.macvlan("single", "10.2.0.0/24"));
  here.network("nameless", { ...here.macvlan("", "10.3.0.0/24"), cniVersion: "0.4.0" });
  here.network("listed", { cniVersion: "1.0.0", name: "other-name", plugins: [here.macvlan("", "fd00:4::/64")] });
  here.network("versionless", { plugins: [here.macvlan("", "10.5.0.0/24")] });
  here.network("fixed", {
    cniVersion: "1.0.0",
    type: "macvlan",
    master: "eth0",
    capabilities: { ips: true, mac: true },
    ipam: { type: "static" },
  });
  here.network("elsewhere", here.macvlan("elsewhere", "10.6.0.0/24"), "kube-system");
  here.network("on-disk", "");
  here.folder.write("net.d/10-disk.conflist", {
    cniVersion: "1.0.0",
    name: "on-disk",
    plugins: [here.macvlan("", "10.7.0.0/24")],
  });
  here.folder.write("cluster/10-main.conf", here.macvlan("main", "10.1.0.0/24"));
  return {
    delegates: undefined,
    clusterNetwork: here.path("cluster", "10-main.conf"),
  };
}

async function kubernetes(here: MultusSite): Promise<{ api: ApiStandIn; call: (conf: Json) => SiteCall }> {
  const api = await ApiStandIn.start(here.node.path, here.path("manifests"));
  const kubeconfig = here.folder.write(
    "kubeconfig",
    [
      "{apiVersion: v1, kind: Config, current-context: x,",
      `clusters: [{name: c, cluster: {server: "${api.url}"}}],`,
      "users: [{name: u, user: {}}], contexts: [{name: x, context: {cluster: c, user: u}}]}",
    ].join("\n"),
  );
  const { bin } = peerTools();
  return { api, call: (conf) => ({ bin, conf: { ...conf, manifests: undefined, kubeconfig, binDir: bin } }) };
}

interface Report {
  readonly result: unknown;
  readonly status: unknown;
  readonly events: readonly string[];
  readonly links: readonly string[];
  readonly addresses: readonly string[];
}

function comparable(here: MultusSite, pod: SitePod, report: Pick<Report, "result" | "status" | "events">): Report {
  const { links, addresses } = here.kernel(pod)[pod.name]!;
  // Our macvlan tells the MTU, in the result from 1.1.0 on and in the status.
  const text = JSON.stringify(report).replaceAll(/,?"mtu":\d+/g, "");
  const names = { [pod.netns.path]: "/pod", [pod.name]: "web" };
  return normalise(
    { ...(JSON.parse(text) as Report), links: Object.keys(links), addresses: Object.keys(addresses) },
    { names, macs: ["02:00:00:00:00:42"] },
  );
}

const annotations: [name: string, networks: unknown, more?: Readonly<Record<string, string>>, conf?: Json][] = [
  ["nothing", ""],
  ["an empty list", "[]"],
  ["one network", "single"],
  ["several, with a namespace and an interface name", "single, kube-system/elsewhere@ext0 ,listed"],
  ["the same network twice", "single,single@again"],
  ["a network without a name", "nameless"],
  ["a network on disk", "on-disk"],
  ["interfaces numbered over named ones", "single@x0,nameless,listed@x1,on-disk"],
  ["addresses and MAC", [{ name: "fixed", ips: ["192.0.2.7/24", "2001:db8::7/64"], mac: "02:00:00:00:00:42" }]],
  ["cni-args", [{ name: "single", "cni-args": { ips: ["10.2.0.99"] } }]],
  ["the old key for an interface", [{ name: "single", interfaceRequest: "old0" }]],
  ["another default network", "single", { "v1.multus-cni.io/default-network": "elsewhere" }],
  ["another default network under its own name", "", { "v1.multus-cni.io/default-network": "default/single@up0" }],
  ["default networks of the node", "single", {}, { defaultNetworks: ["elsewhere"] }],
  ["isolation that allows it", "single,default/listed", {}, { namespaceIsolation: true }],
];

describe("both report the same, and leave nothing", () => {
  test.each(annotations)("%s", async (_, networks, more = {}, over = {}) => {
    const here = site();
    const conf = { ...prepare(here), ...over };
    const peerPod = here.pod(networks, more);
    const { api, call } = await kubernetes(here);
    using _api = api;
    const before = here.kernel();
    const peer = await mustCallCni(here.cniCall("ADD", peerPod, call(conf)));
    const told = api.told();
    const status = told.filter(({ kind }) => kind === "status").map(({ text }) => JSON.parse(text) as unknown);
    // Multus' process ends without waiting for its events: what it says on stderr is what it meant to send, or the first ones of that.
    const heard = [...peer.stderr.matchAll(/type: '(\w+)' reason: '(\w+)' (.*)$/gm)].map(
      ([, type, reason, text]) => `${type} ${reason} ${text}`,
    );
    const { events: first, ...wanted } = comparable(here, peerPod, {
      result: peer.result,
      status: status.at(-1),
      events: heard,
    });
    await mustCallCni(here.cniCall("DEL", peerPod, call(conf)));
    expect(here.remains(before)).toEqual([]);

    const kept = here.files("leases");
    expect(kept).toEqual([]);
    here.forgetLeases();
    const pod = here.pod(networks, more);
    const { result } = await mustCallCni(here.cniCall("ADD", pod, { conf }));
    const networkStatus = here.status(pod);
    const { events, ...ours } = comparable(here, pod, { result, status: networkStatus, events: here.events(pod) });
    expect(ours).toEqual(wanted);
    expect(events.slice(0, first.length)).toEqual(first);
    expect(networkStatus).toHaveLength(events.length);
    await mustCallCni(here.cniCall("DEL", pod, { conf }));
    expect(here.remains(before)).toEqual([]);
  });
});

describe("what one has attached the other deletes", () => {
  const everything = [
    { name: "single", interface: "x0" },
    { name: "nameless" },
    { name: "listed", namespace: "default" },
    { name: "versionless" },
    { name: "fixed", ips: ["192.0.2.7/24"], mac: "02:00:00:00:00:42" },
    { name: "on-disk" },
  ];

  test("Multus' pod by us: without the API server, and the whole of it (BUG 4.3, I 1449: Multus leaks its own default network)", async () => {
    const here = site();
    const file = "cluster/20-list.conflist";
    here.folder.write(file, { cniVersion: "1.1.0", name: "main", plugins: [here.macvlan("", "10.1.0.0/24")] });
    const conf = { ...prepare(here), clusterNetwork: here.path(file) };
    const pod = here.pod(everything);
    const before = here.kernel(pod);
    {
      const { api, call } = await kubernetes(here);
      using _api = api;
      await mustCallCni(here.cniCall("ADD", pod, call(conf)));
    }
    expect(here.journal(pod)).toHaveLength(7);
    expect(await here.call("CHECK", pod, { conf: { ...conf, manifests: undefined } })).toMatchObject({ exitCode: 0 });
    await mustCallCni(here.cniCall("DEL", pod, { conf: { ...conf, manifests: undefined } }));
    expect(here.remains(before, pod)).toEqual([]);
  });

  test("our pod by Multus", async () => {
    const here = site();
    const conf = prepare(here);
    const pod = here.pod(everything);
    const before = here.kernel(pod);
    await mustCallCni(here.cniCall("ADD", pod, { conf }));
    const { api, call } = await kubernetes(here);
    using _api = api;
    await mustCallCni(here.cniCall("DEL", pod, call(conf)));
    expect(here.remains(before, pod)).toEqual([]);
  });

  test("Multus' pod by our GC, once the runtime has forgotten it (BUG 4.4: Multus collects nothing)", async () => {
    const here = site();
    const conf = prepare(here);
    const pod = here.pod(everything);
    const before = here.kernel();
    const { api, call } = await kubernetes(here);
    using _api = api;
    await mustCallCni(here.cniCall("ADD", pod, call(conf)));
    pod.netns[Symbol.dispose]();
    const collect = { ...conf, "cni.dev/valid-attachments": [] };
    await mustCallCni(here.cniCall("GC", pod, call(collect)));
    expect(here.leases().length).toBeGreaterThan(0);
    await mustCallCni(here.cniCall("GC", pod, { conf: collect }));
    expect(here.remains(before)).toEqual([]);
  });
});

describe("where ours does otherwise on purpose, Multus still does as is said of it", () => {
  test("a gateway that can't be reached leaves every interface (BUG 2.4)", async () => {
    const here = site();
    const conf = prepare(here);
    const pod = here.pod([{ name: "single", "default-route": ["10.99.0.1"] }]);
    const { api, call } = await kubernetes(here);
    using _api = api;
    const outcome = await callCni(here.cniCall("ADD", pod, call(conf)));
    expect(errorOf(outcome).msg).toContain("network is unreachable");
    expect(here.leases()).toHaveLength(2);
    await mustCallCni(here.cniCall("DEL", pod, { conf }));
    expect(here.leases()).toEqual([]);
  });

  test("a default route that the annotation moves stays where it was (BUG 2.4)", async () => {
    const here = site();
    const conf = prepare(here);
    here.folder.write(
      "cluster/10-main.conf",
      here.macvlan("main", "10.1.0.0/24", { ipam: { routes: [{ dst: "0.0.0.0/0" }] } }),
    );
    const ways = [];
    for (const side of ["peer", "ours"]) {
      const pod = here.pod([{ name: "single", "default-route": ["10.2.0.1"] }]);
      const { api, call } = await kubernetes(here);
      using _api = api;
      const over = side === "peer" ? call(conf) : { conf };
      await mustCallCni(here.cniCall("ADD", pod, over));
      ways.push(Object.keys(here.kernel(pod)[pod.name]!.routes).filter((name) => name.includes("default")));
      await mustCallCni(here.cniCall("DEL", pod, over));
    }
    expect(ways).toEqual([["ipv4 main unicast default dev eth0"], ["ipv4 main unicast default dev net1"]]);
  });

  test("an empty journal is a success that frees nothing (BUG 4.3, I 1087)", async () => {
    const here = site();
    const conf = prepare(here);
    const pod = here.pod("single");
    const { api, call } = await kubernetes(here);
    using _api = api;
    await mustCallCni(here.cniCall("ADD", pod, call(conf)));
    here.folder.write(`cni/${pod.containerId}`, "");
    await mustCallCni(here.cniCall("DEL", pod, call(conf)));
    expect(here.leases()).toHaveLength(2);
    await mustCallCni(here.cniCall("DEL", pod, { conf }));
    expect([here.leases(), here.files("cni")]).toEqual([[], []]);
  });
});
