import { fdatasync } from "node:fs";
import type { AgentRequest } from "../src/agent/request.ts";
import { runWorker } from "../src/agent/worker.ts";
import { processEdges } from "../src/cni/serve.ts";
import { keepSessions } from "../src/kube/session.ts";
import { type ErrnoName, SystemError } from "../src/libc/errno.ts";
import { Fd } from "../src/libc/fd.ts";
import { libc, rareLibc } from "../src/libc/ffi.ts";
import { enterRoot } from "../src/libc/process.ts";
import type { Logger } from "../src/log/logger.ts";
import { findBuiltin, pluginNames } from "./builtins.ts";
import { answer, openRuntime } from "./plugin-call.ts";
import { buildId } from "./version.ts";

/** Calls that a worker does in its life. */
const callLimit = 1000;

/** A worker of the agent `parent`, whose listening socket is the descriptor `listener`; returns when it is to end. */
export async function runAgentWorker(listener: number, parent: number, root: string, log: Logger): Promise<void> {
  // All that is loaded from files comes from where this program is, before the root changes.
  libc();
  rareLibc();
  for (const name of pluginNames()) await findBuiltin(name);
  await import("../src/cluster/api.ts");
  await import("../src/cluster/manifests.ts");
  keepSessions();
  if (root !== "/") enterRoot(root);
  await runWorker({
    listener: new Fd(listener, "the agent's socket"),
    parent,
    build: buildId,
    callLimit,
    serve: serveCall,
    log,
  });
}

/** As a process of its own would do it, which leaves the closing of what it has opened to its end. */
async function serveCall(
  { name, environment, input }: AgentRequest,
  afterwards: (work: () => Promise<void>) => void,
): Promise<number> {
  // The one variable that is not asked of the call: where programs such as iptables are looked for.
  process.env["PATH"] = environment["PATH"] ?? "";
  using opened = new DisposableStack();
  return await answer(name, processEdges(environment, input), (given) => {
    const runtime = openRuntime(given);
    opened.use(runtime.host);
    return { ...runtime, afterwards, sync };
  });
}

/** By a thread of the runtime's: a disk takes milliseconds, in which a worker can do the rest of a call. */
function sync(fd: Fd): Promise<void> {
  return new Promise((resolve, reject) => {
    fdatasync(fd.number, (error) => {
      if (error === null) resolve();
      else reject(new SystemError((error.code ?? "EIO") as ErrnoName, "fdatasync", fd.subject));
    });
  });
}
