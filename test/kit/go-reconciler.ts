// Go whereabouts' reconciler on a test's API server, as its Deployment runs it: credentials of a pod, a schedule of the flat file.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ApiServerFacts } from "./api-server.ts";
import { KubeAdmin } from "./kube-admin.ts";
import { peerTools } from "./peer-tools.ts";

/** Both places are the program's own: hidden under file systems that it alone sees. */
const script = `set -e
mount -t tmpfs reconciler /etc
mkdir -p /etc/cni/net.d/whereabouts.d /var/run/secrets/kubernetes.io
cp "$1/whereabouts.conf" /etc/cni/net.d/whereabouts.d/
mount -t tmpfs reconciler /var/run/secrets/kubernetes.io
mkdir /var/run/secrets/kubernetes.io/serviceaccount
cp "$1/token" "$1/ca.crt" "$1/namespace" /var/run/secrets/kubernetes.io/serviceaccount/
exec "$2" -log-level debug`;

/**
 * Starts it; it runs until it is killed. `schedule` is a cron expression, or "@every 3s". Its log is `folder`/reconciler.log. `port` is that of a
 * proxy that it is to reach the server by.
 */
export async function startGoReconciler(
  api: ApiServerFacts,
  namespace: string,
  folder: string,
  schedule: string,
  port = api.port,
): Promise<Bun.Subprocess> {
  mkdirSync(folder, { recursive: true });
  const write = (name: string, content: string): void => writeFileSync(join(folder, name), content);
  write("token", await new KubeAdmin(api).token("kube-system", "whereabouts"));
  write("ca.crt", api.ca);
  write("namespace", namespace);
  write("whereabouts.conf", JSON.stringify({ reconciler_cron_expression: schedule, kubernetes: { kubeconfig: "" } }));
  const program = join(peerTools("whereabouts").bin, "ip-reconciler");
  return Bun.spawn(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", folder, program], {
    stdio: ["ignore", "ignore", Bun.file(join(folder, "reconciler.log"))],
    env: {
      PATH: process.env["PATH"] ?? "",
      KUBERNETES_SERVICE_HOST: "127.0.0.1",
      KUBERNETES_SERVICE_PORT: String(port),
    },
  });
}
