// DEL needs the journal and nothing else; and where that is gone, whatever still tells what was attached.
import { rmSync, truncateSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { expiredToken } from "../kit/cluster.ts";
import type { SitePod } from "../kit/multus-site.ts";
import { useApiSite } from "./use-site.ts";

const site = useApiSite();
const conf = { apiTimeout: 1 };
let networks = 0;

beforeAll(async () => {
  await site().network("n1", site().local.macvlan("net-1", "10.81.0.0/16"));
});

interface Attached {
  readonly pod: SitePod;
  /** A network that no other test uses. */
  readonly own: string;
  /** What is there now that was not there before the pod was attached. */
  readonly remains: () => string[];
}

async function attached(): Promise<Attached> {
  const here = site();
  const number = networks++;
  const own = `own-${number}`;
  await here.network(own, here.local.macvlan(own, `10.82.${number}.0/24`));
  const pod = await here.pod(`n1,${own}`);
  const before = here.local.kernel(pod);
  expect(await here.call("ADD", pod)).toMatchObject({ exitCode: 0, stderr: "" });
  return { pod, own, remains: () => here.local.remains(before, pod) };
}

const conditions: readonly (readonly [string, (attached: Attached) => Promise<unknown> | void])[] = [
  ["nothing has changed", () => {}],
  ["the API server is down", async () => await site().useAccount("polynic", "https://169.254.77.1:1")],
  ["the API server's address leads nowhere", async () => await site().useAccount("polynic", "https://192.0.2.1:6443")],
  ["the kubeconfig is gone", () => rmSync(site().kubeconfigPath)],
  ["the kubeconfig is empty", () => truncateSync(site().kubeconfigPath)],
  ["the token has expired", () => site().useUser({ token: expiredToken() })],
  ["the account has no rights", async () => await site().useAccount("nobody")],
  [
    "the network has another config by now",
    async ({ own }) => {
      const { metadata } = site().networkObject(own, "");
      const path = `/apis/k8s.cni.cncf.io/v1/namespaces/${metadata.namespace}/network-attachment-definitions/${own}`;
      await site().admin.send("PATCH", path, { spec: { config: '{"type": "nowhere"}' } });
    },
  ],
  ["the network is gone", async ({ own }) => await site().admin.delete(site().networkObject(own, ""))],
  ["the pod is gone", async ({ pod }) => await site().deletePod(pod)],
  ["the pod's namespace is gone", ({ pod }) => pod.netns[Symbol.dispose]()],
];

async function put(change: Promise<unknown> | void): Promise<void> {
  await change;
}

async function backToNormal(): Promise<void> {
  await site().useAccount("polynic");
}

describe("frees everything, without a request, when", () => {
  test.each(conditions)("%s", async (_, change) => {
    const { pod, remains, ...rest } = await attached();
    await put(change({ pod, remains, ...rest }));
    site().audit.take(site().namespace);
    for (let time = 0; time < 2; time++)
      expect(await site().call("DEL", pod, { conf })).toMatchObject({ exitCode: 0, stderr: "" });
    expect(site().audit.take(site().namespace)).toEqual([]);
    expect(remains()).toEqual([]);
    await backToNormal();
  });
});

describe("frees everything by the cached results, and says that the journal is torn, when", () => {
  const tears: readonly (readonly [string, string])[] = [
    ["empty", ""],
    ["an empty list", "[]"],
    ["null", "null"],
    ["half of it", '[{"Conf":{"cniVersion":"1.1.0","na'],
  ];
  // One of them under all conditions, the others under the worst.
  const rows = tears.flatMap(([name, content], index) =>
    conditions
      .slice(1, index === tears.length - 1 ? undefined : 2)
      .map(([condition, change]) => [name, condition, content, change] as const),
  );
  test.each(rows)("the journal is %s and %s", async (_, _condition, content, change) => {
    const { pod, remains, ...rest } = await attached();
    writeFileSync(site().local.path("cni", pod.containerId), content);
    await put(change({ pod, remains, ...rest }));
    const outcome = await site().call("DEL", pod, { conf });
    expect(outcome.exitCode).toBe(0);
    expect(outcome.stderr).toContain("is unreadable: ");
    expect(remains()).toEqual([]);
    await backToNormal();
  });
});

describe("frees everything without the journal when", () => {
  test.each(conditions)("%s", async (_, change) => {
    const { pod, remains, ...rest } = await attached();
    rmSync(site().local.path("cni", pod.containerId));
    await put(change({ pod, remains, ...rest }));
    expect(await site().call("DEL", pod, { conf })).toMatchObject({ exitCode: 0 });
    expect(remains()).toEqual([]);
    await backToNormal();
  });
});

describe("with all of cniDir lost", () => {
  test("asks the API server what was attached, and frees it", async () => {
    const { pod, remains } = await attached();
    rmSync(site().local.path("cni"), { recursive: true });
    site().audit.take(site().namespace);
    expect(await site().call("DEL", pod)).toMatchObject({ exitCode: 0 });
    expect(
      site()
        .audit.take(site().namespace)
        .map(({ resource }) => resource)
        .sort(),
    ).toEqual(["network-attachment-definitions", "network-attachment-definitions", "pods"]);
    expect(remains()).toEqual([]);
  });
  test("and the API server down too, frees what the node's config names, and says so", async () => {
    const { pod } = await attached();
    rmSync(site().local.path("cni"), { recursive: true });
    await site().useAccount("polynic", "https://169.254.77.1:1");
    const outcome = await site().call("DEL", pod, { conf });
    expect(outcome.exitCode).toBe(0);
    expect(outcome.stderr).toContain("the pod's networks are not known any more: get pod ");
    expect(outcome.stderr).toContain("connection refused");
    await backToNormal();
    // The leases of its other networks are for GC of host-local: nothing on this node tells of them any more.
    rmSync(site().local.path("leases"), { recursive: true });
  });
});
