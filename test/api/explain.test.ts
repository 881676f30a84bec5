// plan and explain on a live cluster: they read, with the node's own rights, and change nothing.
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { inWords } from "../kit/audit-log.ts";
import { callCni, type CniOutcome, polynicBin } from "../kit/cni-caller.ts";
import type { SitePod } from "../kit/multus-site.ts";
import { useApiSite } from "./use-site.ts";

const site = useApiSite();
let good: SitePod;
let bad: SitePod;

beforeAll(async () => {
  const here = site();
  await here.network("lan", here.local.macvlan("", "10.60.0.0/16", { name: undefined }));
  await here.network("nic", here.local.macvlan("nic", "10.61.0.0/16"), {
    "k8s.v1.cni.cncf.io/resourceName": "example.com/nic",
  });
  good = await here.pod([{ name: "lan", mac: "02:00:00:00:00:01" }, { name: "nic" }]);
  bad = await here.pod("lan,lam");
});

function run(verb: string, ...args: readonly string[]): Promise<CniOutcome> {
  const here = site();
  here.audit.take(here.namespace);
  const env = { NETCONFPATH: "/nowhere" };
  return callCni({ executable: join(polynicBin, "polynic"), argv: [verb, ...args], env, node: here.local.node });
}

/** What was asked of the server, sorted. */
function requests(): string[] {
  const entries = site().audit.take(site().namespace);
  return entries
    .filter(({ userAgent }) => userAgent.startsWith("polynic/"))
    .map(inWords)
    .sort();
}

describe("of a pod that can be attached", () => {
  test("explain says where everything comes from, for one GET of the pod and one of each network", async () => {
    const { exitCode, stdout, stderr } = await run(
      "explain",
      `${good.namespace}/${good.name}`,
      "--kubeconfig",
      site().kubeconfigPath,
    );
    expect({ exitCode, stderr }).toEqual({
      exitCode: 0,
      stderr: expect.stringMatching(/^note: no file in \/nowhere has a plugin of type multus: .*\n$/),
    });
    const [head, , , ...rows] = stdout.split("\n");
    expect(head).toBe(`Pod ${good.namespace}/${good.name} (uid ${good.uid}) would be attached.`);
    const { namespace } = good;
    const key = "k8s.v1.cni.cncf.io/networks";
    expect(rows.map((row) => row.trim().replaceAll(/ {2,}/g, " | "))).toEqual([
      "eth0 | default-network | ok | delegates[0] | delegates[0] | bridge/host-local",
      `net1 | ${namespace}/lan | ok | ${key} | NetworkAttachmentDefinition ${namespace}/lan | macvlan/host-local | name "lan"`,
      "CNI_ARGS MAC=02:00:00:00:00:01",
      `net2 | ${namespace}/nic | ok | ${key} | NetworkAttachmentDefinition ${namespace}/nic | macvlan/host-local | deviceID, pciBusID of a example.com/nic that kubelet assigns`,
      "",
      expect.stringMatching(
        /^note: which devices of example\.com\/nic the pod has is not known here: ask kubelet .*; ask on node node-1$/,
      ),
      "",
    ]);
    expect(requests()).toEqual([
      "get network-attachment-definitions",
      "get network-attachment-definitions",
      "get pods",
    ]);
  });

  test("plan lists the same networks by the node's own config", async () => {
    const conf = site().local.folder.write("00-multus.conf", site().conf());
    const { exitCode, stdout, stderr } = await run("plan", `${good.namespace}/${good.name}`, "--conf", conf);
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/^site-\S+: warning: which devices of example\.com\/nic .*; ask on node node-1\n$/);
    expect(stdout).toMatch(/ eth0 +default-net .*\n +net1 .*\n +net2 /);
    expect(requests()).toHaveLength(3);
  });
});

describe("of a pod that would be refused", () => {
  test("explain says why, with near misses where the role may list", async () => {
    const { exitCode, stdout } = await run(
      "explain",
      `${bad.namespace}/${bad.name}`,
      "--kubeconfig",
      site().kubeconfigPath,
      "-o",
      "json",
    );
    expect(exitCode).toBe(1);
    const { isRefused, networks } = JSON.parse(stdout);
    expect(isRefused).toBe(true);
    expect(networks.map((each: { refusals: unknown[] }) => each.refusals.length)).toEqual([0, 0, 1]);
    expect(networks[2]).toMatchObject({
      network: `${bad.namespace}/lam`,
      refusals: [{ reason: "NoNetworkFound", message: expect.stringContaining("(lam)") }],
    });
    expect(requests().filter((each) => !/^(get|list) /.test(each))).toEqual([]);
  });

  test("plan says it in one line", async () => {
    const { exitCode, stderr } = await run(
      "plan",
      `${bad.namespace}/${bad.name}`,
      "--kubeconfig",
      site().kubeconfigPath,
    );
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^note: .*\nsite-\S+\/pod-1: cannot find .*\(lam\).*\n$/);
  });
});

test.each([
  ["a pod that is not there", ["default/nobody"], 2, "there is no pod default/nobody in the cluster"],
  ["all pods", [], 2, "name the pod as NAMESPACE/NAME: of an API server one is looked at"],
])("plan of %s is refused in one line", async (_, args, code, words) => {
  const { exitCode, stdout, stderr } = await run("plan", ...args, "--kubeconfig", site().kubeconfigPath);
  expect({ exitCode, stdout }).toEqual({ exitCode: code, stdout: "" });
  expect(stderr).toContain(words);
  expect(stderr.trimEnd()).not.toContain("\n");
});
