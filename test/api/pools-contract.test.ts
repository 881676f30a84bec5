// The pools' port on a real API server, with the rights of a node.
import { inject } from "vitest";
import { ApiPools } from "../../src/cluster/pools/api.ts";
import { KubeClient } from "../../src/kube/client.ts";
import { Connection } from "../../src/kube/connection.ts";
import { readKubeconfig } from "../../src/kube/kubeconfig.ts";
import { silentLogger } from "../../src/log/logger.ts";
import { kubeconfig } from "../kit/cluster.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { KubeAdmin } from "../kit/kube-admin.ts";
import { poolsContract } from "../kit/pools-contract.ts";

const folder = useTemporaryFolder();
const timeoutMs = 10_000;

poolsContract("api", async () => {
  const api = inject("api");
  const admin = new KubeAdmin(api);
  const user = { token: await admin.token("kube-system", "polynic") };
  const file = folder().write("pools.kubeconfig", kubeconfig({ server: admin.server, ca: api.ca, user }));
  const connection = new Connection(() => readKubeconfig(file));
  const client = new KubeClient(connection, { timeoutMs, userAgent: "polynic/test (pools)", log: silentLogger });
  return new ApiPools(client, "kube-system", "namespace kube-system");
});
