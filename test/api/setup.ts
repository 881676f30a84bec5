// Once per run of the lane: a real API server with the definitions and the role of deploy/, and Multus' role beside it.
import { cpSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { type ApiServerFacts, startApiServer } from "../kit/api-server.ts";
import { prepareCluster } from "../kit/cluster.ts";
import { removeTree } from "../kit/remove-tree.ts";

declare module "vitest" {
  export interface ProvidedContext {
    readonly api: ApiServerFacts;
  }
}

const keptLogs = ["kube-apiserver.log", "etcd.log", "audit.log"];

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), "polynic-api-"));
  const server = await startApiServer(folder);
  const { port, ca } = server;
  const facts = { port, folder, ca };
  await prepareCluster(facts);
  project.provide("api", facts);
  return async () => {
    await server.stop();
    if (project.vitest.state.getCountOfFailedTests() > 0) keepLogs(folder);
    removeTree(folder);
  };
}

function keepLogs(folder: string): void {
  // Not in the lane's own temporary folder, which goes with it.
  const kept = mkdtempSync("/tmp/polynic-api-logs-");
  for (const name of keptLogs) cpSync(join(folder, name), join(kept, name));
  process.stdout.write(`polynic: the logs of the API server are in ${kept}\n`);
}
