import type { Access } from "./access.ts";
import { readAccessFile } from "./kubeconfig.ts";

/** Where kubelet mounts a pod's service account. */
export const serviceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The variables that kubelet sets in every container. */
export interface ClusterEnvironment {
  readonly KUBERNETES_SERVICE_HOST?: string | undefined;
  readonly KUBERNETES_SERVICE_PORT?: string | undefined;
}

/**
 * The access of a pod's service account; both variables are set. `folder` holds token, ca.crt and namespace. Throws `KubeError` "config"
 * when a file is missing.
 */
export function readInCluster(environment: ClusterEnvironment, folder = serviceAccountFolder): Access {
  const host = environment.KUBERNETES_SERVICE_HOST ?? "";
  const origin = `service account in ${folder}`;
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${environment.KUBERNETES_SERVICE_PORT ?? ""}`,
    tls: { ca: readAccessFile(`${folder}/ca.crt`, origin), skipsVerification: false },
    credential: { kind: "token-file", file: `${folder}/token` },
    namespace: readAccessFile(`${folder}/namespace`, origin).trim() || "default",
    origin,
  };
}
