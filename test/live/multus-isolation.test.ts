// namespaceIsolation: what a pod's author may name, on every path.
import { expect, test } from "vitest";
import { mustCallCni } from "../kit/cni-caller.ts";
import { errorOf, type Json, useSite } from "../kit/multus-site.ts";

const site = useSite();

const defaultNetwork = (name: string): Record<string, string> => ({ "v1.multus-cni.io/default-network": name });

const cases: [name: string, networks: unknown, more: Record<string, string>, conf: Json, isAllowed: boolean][] = [
  ["its own namespace", "net", {}, {}, true],
  ["its own namespace, spelt out", "tenant/net", {}, {}, true],
  ["the global namespace that is meant when none is named", "default/net", {}, {}, true],
  ["a stranger's namespace", "other/net", {}, {}, false],
  ["a stranger's namespace in JSON", [{ name: "net", namespace: "other" }], {}, {}, false],
  ["a stranger's namespace inside a JSON name", [{ name: "other/net" }], {}, {}, false],
  ["a stranger's namespace behind one of its own", "net,other/net", {}, {}, false],
  ["a namespace that the list makes global", "other/net", {}, { globalNamespaces: "x, other ,y" }, true],
  ["default, once a list of global namespaces leaves it out", "default/net", {}, { globalNamespaces: "other" }, false],
  ["a stranger's as its default network (BUG 2.3: Multus does not look)", "", defaultNetwork("other/net"), {}, false],
  ["the node's namespace as its default network", "", defaultNetwork("net"), {}, false],
  ["the same where that is global", "", defaultNetwork("net"), { globalNamespaces: "kube-system" }, true],
  ["its own as its default network", "", defaultNetwork("tenant/net"), {}, true],
  ["a stranger's namespace without isolation", "other/net", {}, { namespaceIsolation: false }, true],
];

test.each(cases)("a pod names %s", async (_, networks, more, over, isAllowed) => {
  const here = site();
  for (const namespace of ["tenant", "default", "other", "kube-system"])
    here.network("net", here.macvlan(`net-${namespace}`, "10.2.0.0/24"), namespace);
  const pod = here.pod(networks, more, "tenant");
  const before = here.kernel(pod);
  const conf = { namespaceIsolation: true, ...over };
  const outcome = await here.call("ADD", pod, { conf });
  if (isAllowed) expect(outcome).toMatchObject({ exitCode: 0 });
  else {
    const { code, msg } = errorOf(outcome);
    expect(code).toBe(7);
    expect(msg).toMatch(
      /namespace isolation enabled, annotation violates permission, pod is in namespace tenant but refers to target namespace /,
    );
    expect(here.events(pod)).toEqual([
      expect.stringMatching(/^Warning NetworkNotAllowed namespace isolation/) as unknown,
    ]);
  }
  // What DEL finds without a journal is bound by the same rule.
  await mustCallCni(here.cniCall("DEL", pod, { conf }));
  expect(here.remains(before, pod)).toEqual([]);
});

test("what the node's own config names is the operator's word", async () => {
  const here = site();
  here.network("cluster", here.macvlan("cluster", "10.3.0.0/24"), "kube-system");
  here.network("extra", here.macvlan("extra", "10.4.0.0/24"), "kube-system");
  const pod = here.pod("", {}, "tenant");
  const conf = {
    namespaceIsolation: true,
    delegates: undefined,
    clusterNetwork: "cluster",
    defaultNetworks: ["extra"],
  };
  await mustCallCni(here.cniCall("ADD", pod, { conf }));
  expect(here.status(pod)?.map((element) => element["name"])).toEqual(["kube-system/cluster", "kube-system/extra"]);
  await mustCallCni(here.cniCall("DEL", pod, { conf }));
});
