// cnitool, the reference runtime on the command line: libcni as every container runtime embeds it.
import { join } from "node:path";
import { callCni, type CniOutcome } from "../kit/cni-caller.ts";
import type { NodeNetns } from "../kit/node-netns.ts";
import { peerTools } from "../kit/peer-tools.ts";

export interface CnitoolCall {
  readonly verb: "add" | "check" | "del" | "gc" | "status";
  /** The `name` of a network in `confDir`. */
  readonly network: string;
  /** Path of the pod's namespace; cnitool makes the container id of it. */
  readonly netns: string;
  readonly node: NodeNetns;
  /** NETCONFPATH: the folder of the .conflist files. */
  readonly confDir: string;
  /** CNI_PATH: where the plugins are. */
  readonly path: string;
  /** CNI_IFNAME; cnitool takes "eth0" otherwise. */
  readonly ifName?: string;
  /** CNI_ARGS, `K=V;K=V`. */
  readonly args?: string;
  /** Working directory; the caller's own otherwise. */
  readonly cwd?: string;
  /** CAP_ARGS: capability arguments, such as `{ mac: "02:…" }`. */
  readonly capabilities?: object;
}

/** Runs cnitool v1.3.0. The outcome has the result of `add`; a failure is told on standard output as plain text. */
export async function cnitool(call: CnitoolCall): Promise<CniOutcome> {
  return await callCni({
    executable: join(peerTools().bin, "cnitool"),
    argv: [call.verb, call.network, call.netns],
    node: call.node,
    path: call.path,
    ...(call.ifName === undefined ? {} : { ifName: call.ifName }),
    ...(call.args === undefined ? {} : { args: call.args }),
    ...(call.cwd === undefined ? {} : { cwd: call.cwd }),
    env: {
      NETCONFPATH: call.confDir,
      CAP_ARGS: call.capabilities === undefined ? undefined : JSON.stringify(call.capabilities),
    },
  });
}
