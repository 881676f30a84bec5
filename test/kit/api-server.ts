// A real etcd and kube-apiserver, with certificates of their own, RBAC and an audit log, for the length of a run.
import { createServer } from "node:net";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeAuthority, makeCertificate } from "./certificates.ts";
import { type Daemon, endDaemons, startDaemon, waitForDaemons } from "./daemon.ts";
import { etcd, findProgram } from "./debian-program.ts";
import { peerTools } from "./peer-tools.ts";

/** What test threads need to know of the server; plain data, since it is handed from thread to thread. */
export interface ApiServerFacts {
  readonly port: number;
  /** Holds ca.crt, server.crt and .key, admin.crt and .key, audit.log, etcd.log and kube-apiserver.log. */
  readonly folder: string;
  readonly ca: string;
}

export interface ApiServer extends ApiServerFacts {
  /** Ends both programs and waits until they have ended. */
  stop(): Promise<void>;
}

/** Address under which nodes of tests reach the server (`api-link.ts`); it is in the server's certificate. */
export const apiAddress = "169.254.77.1";

/** User of the one kubelet that a test may have; with `hasNodes` its certificate lies in the folder under this name. */
export const nodeUser = "system:node:node1";

/** A guest on a busy machine takes a minute and more. */
const readyTimeoutMs = 300_000;

const auditPolicy = (fullGroups: readonly string[]) => ({
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  rules: [...fullGroups.map((group) => ({ level: "RequestResponse", resources: [{ group }] })), { level: "Metadata" }],
});

export interface ApiServerOptions {
  /** A free one otherwise. */
  readonly port?: number;
  /** Further subject alternative names of its certificate: "IP:10.96.0.1". */
  readonly names?: readonly string[];
  /** Kubelets may ask for what their pods need, and be asked for logs; pods get tokens of their accounts. */
  readonly hasNodes?: boolean;
  /** API groups of which the audit log has the bodies of requests and answers too. */
  readonly auditedGroups?: readonly string[];
}

/**
 * Starts both in an empty folder and waits until /readyz says ok. Throws with the end of the log of whichever failed. They end with this
 * process too, however that ends.
 */
export async function startApiServer(folder: string, options: ApiServerOptions = {}): Promise<ApiServer> {
  mkdirSync(folder, { recursive: true });
  const [clientPort, peerPort, freePort] = await freePorts(3);
  const port = options.port ?? freePort;
  const hasNodes = options.hasNodes === true;
  const authority = makeAuthority(folder, "ca");
  const names = ["IP:127.0.0.1", "IP:::1", `IP:${apiAddress}`, "DNS:kubernetes", ...(options.names ?? [])];
  const server = makeCertificate(folder, authority, { name: "server", alternativeNames: names });
  const admin = makeCertificate(folder, authority, { name: "admin", groups: ["system:masters"] });
  if (hasNodes) makeCertificate(folder, authority, { name: nodeUser, groups: ["system:nodes"] });
  const accounts = makeCertificate(folder, authority, { name: "accounts" });
  const policy = join(folder, "audit-policy.json");
  writeFileSync(policy, JSON.stringify(auditPolicy(options.auditedGroups ?? [])));
  const etcdUrl = `http://127.0.0.1:${clientPort}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  const store = startDaemon({
    folder,
    name: "etcd",
    command: [
      findProgram(etcd) ?? "etcd",
      `--data-dir=${join(folder, "etcd")}`,
      "--unsafe-no-fsync",
      `--listen-client-urls=${etcdUrl}`,
      `--advertise-client-urls=${etcdUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
    ],
  });
  const api = startDaemon({
    folder,
    name: "kube-apiserver",
    command: [
      join(peerTools("kubernetes").bin, "kube-apiserver"),
      `--etcd-servers=${etcdUrl}`,
      "--bind-address=::",
      "--advertise-address=127.0.0.1",
      `--secure-port=${port}`,
      "--endpoint-reconciler-type=none",
      `--tls-cert-file=${server.certificate}`,
      `--tls-private-key-file=${server.key}`,
      `--client-ca-file=${authority.certificate}`,
      `--authorization-mode=${hasNodes ? "Node,RBAC" : "RBAC"}`,
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${accounts.certificate}`,
      `--service-account-signing-key-file=${accounts.key}`,
      "--service-cluster-ip-range=10.96.0.0/16",
      // Without nodes nothing makes service accounts' tokens, and the pods of tests never run.
      ...(hasNodes
        ? [`--kubelet-client-certificate=${admin.certificate}`, `--kubelet-client-key=${admin.key}`]
        : ["--disable-admission-plugins=ServiceAccount"]),
      `--audit-policy-file=${policy}`,
      `--audit-log-path=${join(folder, "audit.log")}`,
      "--audit-log-mode=blocking",
      // Megabytes after which another file would be begun: all is looked for in this one.
      "--audit-log-maxsize=10000",
      "--allow-privileged=true",
    ],
  });
  const daemons = [api, store];
  const ca = readFileSync(authority.certificate, "utf8");
  try {
    await waitUntilReady(folder, port ?? 0, daemons);
  } catch (error) {
    await endDaemons(daemons);
    throw error;
  }
  return { port: port ?? 0, folder, ca, stop: async () => await endDaemons(daemons) };
}

async function waitUntilReady(folder: string, port: number, daemons: readonly Daemon[]): Promise<void> {
  const read = (name: string) => readFileSync(join(folder, name), "utf8");
  const session = new Bun.FetchSession({
    tls: { ca: read("ca.crt"), cert: read("admin.crt"), key: read("admin.key"), rejectUnauthorized: true },
    proxy: false,
  });
  await waitForDaemons(daemons, readyTimeoutMs, async () => {
    const answer = await session
      .fetch(`https://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(2000) })
      .then((response) => response.text())
      .catch(() => "");
    return answer === "ok";
  });
  session.close();
}

/** Ports that nobody listens on: asked of the kernel all at once, so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.on("error", reject);
          server.listen(0, "127.0.0.1", () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
