// The command line against a live cluster: it reads, and changes nothing.
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type CniOutcome, callCni, polynicBin } from "../kit/cni-caller.ts";
import { inWords } from "../kit/audit-log.ts";
import type { SitePod } from "../kit/multus-site.ts";
import { useApiSite } from "./use-site.ts";

const site = useApiSite();
let pod: SitePod;
let name = "";

beforeAll(async () => {
  await site().network("storage", site().local.macvlan("storage", "10.121.0.0/16"));
  pod = await site().pod("storage@disk0");
  name = `${pod.namespace}/${pod.name}`;
});

async function run(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CniOutcome> {
  const executable = `${polynicBin.replace(/bin$/, "")}polynic`;
  return await callCni({ executable, argv, env: { NETCONFPATH: "/nowhere", ...env }, node: site().local.node });
}

const builtIn =
  "note: no file in /nowhere has a plugin of type multus: the default network is that of polynic play; name the config of the pod's node with --conf\n";

/** By which config it is when none is named. */
const noteOf = ({ NETCONFPATH: folder }: Readonly<Record<string, string>>): string =>
  folder === undefined ? builtIn : `note: by the config of this node, ${folder}/00-multus.conf\n`;

const sources: readonly (readonly [string, () => { argv?: string[]; env?: Record<string, string> }])[] = [
  ["--kubeconfig", () => ({ argv: ["--kubeconfig", site().kubeconfigPath] })],
  ["$KUBECONFIG", () => ({ env: { KUBECONFIG: `/nowhere:${site().kubeconfigPath}` } })],
  [
    "the home folder",
    () => {
      const home = site().local.path("home");
      site().local.folder.write("home/.kube/config", readFileSync(site().kubeconfigPath, "utf8"));
      return { env: { HOME: home } };
    },
  ],
  [
    "the config of the node",
    () => ({ argv: ["--conf", site().local.folder.write("00-multus.conf", JSON.stringify(site().conf()))] }),
  ],
  [
    "the config that the node has",
    () => {
      const path = site().local.folder.write("etc/00-multus.conf", JSON.stringify(site().conf()));
      return { env: { NETCONFPATH: dirname(path) } };
    },
  ],
];

describe.each(["plan", "explain"])("polynic %s", (verb) => {
  test.each(sources)("finds a pod by the credentials of %s, and only reads", async (_, source) => {
    const { argv = [], env = {} } = source();
    site().audit.take(site().namespace);
    const outcome = await run([verb, name, ...argv, "-o", "json"], env);
    expect(outcome.stderr).toBe(argv.includes("--conf") ? "" : noteOf(env));
    expect(outcome.exitCode).toBe(0);
    expect(outcome.stdout).toContain(`"${pod.namespace}/storage"`);
    expect(outcome.stdout).toContain('"disk0"');
    const asked = site().audit.take(site().namespace);
    expect(asked.map(inWords).sort()).toEqual(["get network-attachment-definitions", "get pods"]);
    expect(asked[0]?.userAgent).toContain(`(${verb})`);
    expect(await site().status(pod)).toBeUndefined();
    expect(await site().events(pod)).toEqual([]);
  });

  test("says what is wrong with the cluster in one line", async () => {
    const outcome = await run([verb, name, "--kubeconfig", "/nowhere/kubeconfig"]);
    expect(outcome.exitCode).not.toBe(0);
    expect(outcome.stderr).toMatch(
      /^polynic: .*kubeconfig \/nowhere\/kubeconfig: open \/nowhere\/kubeconfig: no such file.*\n$/,
    );
  });

  test("says that a pod is not there", async () => {
    const outcome = await run([verb, `${pod.namespace}/nobody`, "--kubeconfig", site().kubeconfigPath]);
    expect(outcome.exitCode).toBe(2);
    expect(outcome.stderr).toContain(`there is no pod ${pod.namespace}/nobody in the cluster`);
  });
});

test("a pod whose network is not there would be refused, and explain says how to find out what there is", async () => {
  const lost = await site().pod("nowhere");
  const outcome = await run(["explain", `${lost.namespace}/${lost.name}`, "--kubeconfig", site().kubeconfigPath]);
  expect(outcome.exitCode).toBe(1);
  expect(outcome.stdout).toContain("would be refused");
  expect(outcome.stdout).toContain("kubectl get network-attachment-definitions");
});
