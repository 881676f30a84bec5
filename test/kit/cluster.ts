// A cluster as an operator would set it up: our definitions and our role from deploy/, Multus' role beside it, kubeconfigs for both.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Access } from "../../src/kube/access.ts";
import { type ApiServerFacts } from "./api-server.ts";
import { KubeAdmin, type KubeJson } from "./kube-admin.ts";

const deploy = join(import.meta.dirname, "..", "..", "deploy");
const grantedTimeoutMs = 60_000;
const pollMs = 10;

/**
 * Service accounts in kube-system: polynic has exactly deploy/rbac.yaml and rbac-ipam-node.yaml, polynic-ipam rbac-ipam-controller.yaml, multus and
 * whereabouts what their own manifests grant, gke what GKE's grants whereabouts, nobody nothing.
 */
export const accounts = ["polynic", "polynic-ipam", "multus", "whereabouts", "gke", "nobody"] as const;
export type Account = (typeof accounts)[number];

const multusRules = [
  { apiGroups: ["k8s.cni.cncf.io"], resources: ["*"], verbs: ["*"] },
  { apiGroups: [""], resources: ["pods", "pods/status"], verbs: ["get", "update"] },
  { apiGroups: ["", "events.k8s.io"], resources: ["events"], verbs: ["create", "patch", "update"] },
];

const whereaboutsRules = [
  {
    apiGroups: ["whereabouts.cni.cncf.io"],
    resources: ["ippools", "overlappingrangeipreservations", "nodeslicepools"],
    verbs: ["get", "list", "watch", "create", "update", "patch", "delete"],
  },
  { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["*"] },
  { apiGroups: [""], resources: ["pods", "nodes"], verbs: ["get", "list", "watch"] },
  { apiGroups: ["k8s.cni.cncf.io"], resources: ["network-attachment-definitions"], verbs: ["get", "list", "watch"] },
  { apiGroups: ["", "events.k8s.io"], resources: ["events"], verbs: ["create", "patch", "update", "get"] },
];

const gkeRules = [
  {
    apiGroups: ["whereabouts.cni.cncf.io"],
    resources: ["ippools", "overlappingrangeipreservations"],
    verbs: ["get", "list", "watch", "create", "update", "patch", "delete"],
  },
  { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["create"] },
  { apiGroups: ["coordination.k8s.io"], resources: ["leases"], resourceNames: ["whereabouts"], verbs: ["*"] },
  { apiGroups: [""], resources: ["pods"], verbs: ["list", "get"] },
];

/** Installs the definitions, the roles and the namespaces that every test may use. */
export async function prepareCluster(api: ApiServerFacts): Promise<void> {
  const admin = new KubeAdmin(api);
  // The server makes them too, when it comes to it.
  for (const name of ["default", "kube-system"])
    await admin.ensure({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
  for (const name of readdirSync(join(deploy, "crds"))) await admin.apply(join(deploy, "crds", name));
  for (const name of ["rbac.yaml", "rbac-ipam-node.yaml", "rbac-ipam-controller.yaml"])
    await admin.apply(join(deploy, name));
  for (const name of ["multus", "whereabouts", "gke", "nobody"])
    await admin.create({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace: "kube-system" } });
  await grant(admin, "multus", multusRules);
  await grant(admin, "whereabouts", whereaboutsRules);
  await grant(admin, "gke", gkeRules);
}

/**
 * Grants in another namespace what the roles of deploy/ grant in kube-system, to the same accounts. They may do it when this returns, as after
 * `grant`.
 */
export async function grantIpamIn(admin: KubeAdmin, namespace: string): Promise<void> {
  for (const name of ["rbac-ipam-node.yaml", "rbac-ipam-controller.yaml"]) {
    const objects = [Bun.YAML.parse(readFileSync(join(deploy, name), "utf8")) as KubeJson[]].flat();
    for (const object of objects)
      if (object.kind.startsWith("Role"))
        await admin.create({ ...object, metadata: { ...object.metadata, namespace } });
    for (const binding of objects.filter(({ kind }) => kind === "RoleBinding")) {
      const { roleRef, subjects } = binding as unknown as Binding;
      const role = objects.find(({ kind, metadata }) => kind === "Role" && metadata.name === roleRef.name);
      for (const subject of subjects) await untilGranted(admin, subject.name, role?.["rules"] as Rule[], namespace);
    }
  }
}

interface Binding {
  readonly roleRef: { readonly name: string };
  readonly subjects: readonly { readonly name: string }[];
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** Waits until the server, which hears of new roles as of any other object, goes by the last of these rules. */
async function untilGranted(admin: KubeAdmin, account: string, rules: readonly Rule[], namespace = ""): Promise<void> {
  const {
    apiGroups: [group = ""],
    resources: [resource = ""],
    verbs: [verb = ""],
    resourceNames = [],
  } = rules.at(-1)!;
  const right = { group, resource, verb, name: resourceNames[0] ?? "", namespace };
  const deadline = performance.now() + grantedTimeoutMs;
  while (!(await admin.allows(account, right))) {
    if (performance.now() > deadline)
      throw new Error(`after ${grantedTimeoutMs / 1000} s ${account} may not ${verb} ${resource}`);
    await Bun.sleep(pollMs);
  }
}

/** The rules of the roles in files of deploy/. */
export function rulesOf(...files: readonly string[]): Rule[] {
  return files.flatMap((file) => {
    const objects = Bun.YAML.parse(readFileSync(join(deploy, file), "utf8")) as KubeJson[];
    return objects.flatMap((object) => (object.kind === "ClusterRole" ? (object["rules"] as Rule[]) : []));
  });
}

/** A service account of kube-system with these rights in the whole cluster and none else; what a kubeconfig says of it. */
export async function newAccount(admin: KubeAdmin, name: string, rules: readonly Rule[]): Promise<{ token: string }> {
  const metadata = { name, namespace: "kube-system" };
  await admin.create({ apiVersion: "v1", kind: "ServiceAccount", metadata });
  await grant(admin, name, rules);
  return { token: await admin.token("kube-system", name) };
}

/** Gives a service account of kube-system rights in the whole cluster; it has them when this returns. */
export async function grant(admin: KubeAdmin, account: string, rules: readonly Rule[]): Promise<void> {
  const apiVersion = "rbac.authorization.k8s.io/v1";
  await admin.create({ apiVersion, kind: "ClusterRole", metadata: { name: account }, rules });
  await admin.create({
    apiVersion,
    kind: "ClusterRoleBinding",
    metadata: { name: account },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: account },
    subjects: [{ kind: "ServiceAccount", name: account, namespace: "kube-system" }],
  });
  await untilGranted(admin, account, rules);
}

export interface KubeconfigOptions {
  readonly server: string;
  readonly ca?: string;
  /** The user entry: `{ token }`, `{ tokenFile }`, … */
  readonly user: Readonly<Record<string, unknown>>;
  /** Of the context; none otherwise. */
  readonly namespace?: string;
  /** Laid over the cluster entry. */
  readonly cluster?: Readonly<Record<string, unknown>>;
}

/** How one of the accounts reaches a server, for clients made in a test's own process. */
export async function accessOf(api: ApiServerFacts, account: Account, server: string): Promise<Access> {
  return {
    server,
    tls: { ca: api.ca, skipsVerification: false },
    credential: { kind: "token", token: await new KubeAdmin(api).token("kube-system", account) },
    namespace: "kube-system",
    origin: `account ${account}`,
  };
}

/** A kubeconfig in Multus' layout, as YAML text. */
export function kubeconfig({ server, ca, user, namespace, cluster = {} }: KubeconfigOptions): string {
  const authority = ca === undefined ? {} : { "certificate-authority-data": Buffer.from(ca).toString("base64") };
  const context = { cluster: "local", user: "multus", ...(namespace === undefined ? {} : { namespace }) };
  return Bun.YAML.stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "local", cluster: { server, ...authority, ...cluster } }],
      users: [{ name: "multus", user }],
      contexts: [{ name: "multus-context", context }],
      "current-context": "multus-context",
    },
    null,
    2,
  );
}

/** What looks like a service account's token that expired long ago; any server refuses it. */
export function expiredToken(): string {
  const claims = { sub: "system:serviceaccount:kube-system:multus", exp: Date.parse("2020-01-01T00:00:00Z") / 1000 };
  return [{ alg: "ES256" }, claims, "signature"]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
}
