// A cluster as an operator would set it up: our definitions and our role from deploy/, Multus' role beside it, kubeconfigs for both.
import { join } from "node:path";
import { type ApiServerFacts } from "./api-server.ts";
import { KubeAdmin } from "./kube-admin.ts";

const deploy = join(import.meta.dirname, "..", "..", "deploy");

/** Service accounts in kube-system: polynic has exactly deploy/rbac.yaml, multus what Multus' own manifest grants, nobody nothing. */
export const accounts = ["polynic", "multus", "nobody"] as const;
export type Account = (typeof accounts)[number];

const multusRules = [
  { apiGroups: ["k8s.cni.cncf.io"], resources: ["*"], verbs: ["*"] },
  { apiGroups: [""], resources: ["pods", "pods/status"], verbs: ["get", "update"] },
  { apiGroups: ["", "events.k8s.io"], resources: ["events"], verbs: ["create", "patch", "update"] },
];

/** Installs the definitions, the roles and the namespaces that every test may use. */
export async function prepareCluster(api: ApiServerFacts): Promise<void> {
  const admin = new KubeAdmin(api);
  for (const name of ["default", "kube-system"])
    await admin.create({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
  await admin.apply(join(deploy, "crds", "network-attachment-definitions.yaml"));
  await admin.apply(join(deploy, "rbac.yaml"));
  for (const name of ["multus", "nobody"])
    await admin.create({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace: "kube-system" } });
  await grant(admin, "multus", multusRules);
}

/** Gives a service account of kube-system rights in the whole cluster. */
export async function grant(admin: KubeAdmin, account: string, rules: readonly object[]): Promise<void> {
  const apiVersion = "rbac.authorization.k8s.io/v1";
  await admin.create({ apiVersion, kind: "ClusterRole", metadata: { name: account }, rules });
  await admin.create({
    apiVersion,
    kind: "ClusterRoleBinding",
    metadata: { name: account },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: account },
    subjects: [{ kind: "ServiceAccount", name: account, namespace: "kube-system" }],
  });
}

export interface KubeconfigOptions {
  readonly server: string;
  readonly ca?: string;
  /** The user entry: `{ token }`, `{ tokenFile }`, … */
  readonly user: Readonly<Record<string, unknown>>;
  /** Laid over the cluster entry. */
  readonly cluster?: Readonly<Record<string, unknown>>;
}

/** A kubeconfig in Multus' layout, as YAML text. */
export function kubeconfig({ server, ca, user, cluster = {} }: KubeconfigOptions): string {
  const authority = ca === undefined ? {} : { "certificate-authority-data": Buffer.from(ca).toString("base64") };
  return Bun.YAML.stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "local", cluster: { server, ...authority, ...cluster } }],
      users: [{ name: "multus", user }],
      contexts: [{ name: "multus-context", context: { cluster: "local", user: "multus" } }],
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
