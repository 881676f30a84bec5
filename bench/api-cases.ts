import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { linkToApi } from "../test/kit/api-link.ts";
import { apiAddress, type ApiServerFacts, startApiServer } from "../test/kit/api-server.ts";
import { AuditLog } from "../test/kit/audit-log.ts";
import { type Account, kubeconfig, prepareCluster } from "../test/kit/cluster.ts";
import { KubeAdmin } from "../test/kit/kube-admin.ts";
import { temporaryFolder } from "../test/kit/tmp.ts";
import { addAndDel, type Case, hostLocal, ourBin, pairsOfVerbs, type Side, withSides } from "./cases.ts";
import type { Row } from "./table.ts";

const sizes = [0, 1, 5, 10] as const;
const targets: Readonly<Record<string, number>> = { ADD: 0.4, DEL: 0.5 };
/** Longer than what is left of an event when Multus has ended. */
const settleMs = 200;

/** The dispatcher with a real kube-apiserver, each side with the role that its own manifest grants; one server for all sizes. */
export function apiCases(goBin: string): Case[] {
  return [{ name: "kube-apiserver", run: () => withServer((api) => allSizes(api, goBin)) }];
}

async function withServer(measure: (api: ApiServerFacts) => Promise<Row[]>): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "polynic-bench-api-"));
  try {
    const server = await startApiServer(folder);
    try {
      await prepareCluster(server);
      return await measure(server);
    } finally {
      await server.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function allSizes(api: ApiServerFacts, goBin: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (const size of sizes) rows.push(...(await oneSize(api, goBin, size)));
  return rows;
}

async function oneSize(api: ApiServerFacts, goBin: string, size: number): Promise<Row[]> {
  const admin = new KubeAdmin(api);
  const audit = new AuditLog(api);
  using folder = temporaryFolder();
  const sides = { ours: `ours-${size}`, agent: `agent-${size}`, theirs: `theirs-${size}` };
  for (const [account, namespace] of [
    ["polynic", sides.ours],
    ["polynic", sides.agent],
    ["multus", sides.theirs],
  ] as const) {
    await fill(admin, namespace, size, folder.path);
    await writeKubeconfig(api, admin, account, folder.path, namespace);
  }
  audit.take("");
  const rows = await withSides((side) => measureOn(side, goBin, sides[side.name], folder.path));
  await Bun.sleep(settleMs);
  const requests = countRequests(audit, sides);
  return rows.map((row) => ({
    ...row,
    what: `kube-apiserver, ${size} networks: ${row.what}`,
    ...(targets[row.what] === undefined ? {} : { target: targets[row.what] ?? 0 }),
    // Multus' DEL and its late events can't be told apart by the log, so that a pod's whole life is counted.
    ...(row.what === "ADD" ? { requests } : {}),
  }));
}

/** The namespace with its networks, and a pod for every run. */
async function fill(admin: KubeAdmin, namespace: string, size: number, folder: string): Promise<void> {
  await admin.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  const names = Array.from({ length: size }, (_, index) => `net-${index}`);
  for (const [index, name] of names.entries()) {
    const ipam = { ...hostLocal(`10.${210 + index}.0.0/16`), dataDir: join(folder, namespace) };
    await admin.create({
      apiVersion: "k8s.cni.cncf.io/v1",
      kind: "NetworkAttachmentDefinition",
      metadata: { namespace, name },
      spec: { config: JSON.stringify({ cniVersion: "1.0.0", name, type: "macvlan", master: "eth0", ipam }) },
    });
  }
  const annotations = { "k8s.v1.cni.cncf.io/networks": names.join(",") };
  for (let run = 0; run <= pairsOfVerbs; run += 1) {
    await admin.create({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { namespace, name: `pod-${run}`, annotations },
      spec: { nodeName: "node-1", containers: [{ name: "main", image: "none" }] },
    });
  }
}

async function writeKubeconfig(
  api: ApiServerFacts,
  admin: KubeAdmin,
  account: Account,
  folder: string,
  namespace: string,
): Promise<void> {
  const user = { token: await admin.token("kube-system", account) };
  const server = `https://${apiAddress}:${api.port}`;
  await Bun.write(join(folder, `${namespace}.kubeconfig`), kubeconfig({ server, ca: api.ca, user }));
}

function measureOn(side: Side, goBin: string, namespace: string, folder: string): (run: number) => number[] {
  linkToApi(side.node);
  const bin = side.isOurs ? ourBin : goBin;
  const config = {
    cniVersion: "1.0.0",
    name: "multus-cni-network",
    type: "multus",
    cniDir: join(side.folder, "multus"),
    logFile: "",
    binDir: bin,
    kubeconfig: join(folder, `${namespace}.kubeconfig`),
    delegates: [
      {
        cniVersion: "1.0.0",
        name: "cluster",
        type: "bridge",
        bridge: "br-bench",
        isGateway: true,
        ipam: { ...hostLocal("10.203.0.0/16"), dataDir: join(side.folder, "leases") },
      },
    ],
  };
  const args = (run: number) => `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=pod-${run}`;
  return (run) =>
    addAndDel(side, run, join(bin, "multus"), { CNI_PATH: bin, CNI_ARGS: args(run) }, JSON.stringify(config));
}

/** Requests of a pod's whole life, by the server's own log; the first pod of each side warms up and counts too. */
function countRequests(
  audit: AuditLog,
  sides: { readonly ours: string; readonly theirs: string },
): { ours: number; theirs: number } {
  const counts = audit.countByNamespace((user) => user.startsWith("system:serviceaccount:"));
  const perPod = (namespace: string): number => (counts.get(namespace) ?? 0) / (pairsOfVerbs + 1);
  return { ours: perPod(sides.ours), theirs: perPod(sides.theirs) };
}
