// The pools' port on a real API server, with the rights of a node.
import { inject } from "vitest";
import { openApiPools } from "../../src/cluster/pools/api.ts";
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
  return openApiPools({ kubeconfig: file, timeoutMs, verb: "test", log: silentLogger });
});
