// Go whereabouts and ours as a runtime's plugin calls them: a process per ADD, on pools of one API server.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { callCni, type CniOutcome, polynicBin } from "./cni-caller.ts";
import type { TestAgent } from "./agent.ts";
import type { IpamWorld } from "./ipam-world.ts";
import { peerTools } from "./peer-tools.ts";

export type Json = Readonly<Record<string, unknown>>;

export interface IpamCall {
  readonly range: string;
  /** Keys of `ipam` besides the range. */
  readonly over?: Json;
  /** Keys of the CNI config besides `ipam`. */
  readonly more?: Json;
  readonly sandbox: string;
  readonly podUid?: string;
  readonly pod?: string;
  /** Which of the side's nodes; they share nothing but the server. */
  readonly node?: string;
  readonly deadlineMs?: number;
  /** Of the CNI config; "lan" otherwise. */
  readonly network?: string;
}

/** One of the two implementations, with its own credentials and state. */
export class IpamSide {
  private constructor(
    readonly name: "go" | "ours",
    readonly folder: string,
    readonly kubeconfig: string,
    readonly agent: TestAgent | undefined,
  ) {}

  /** `folder` is empty, and each side's own. With an `agent` calls of ours are handed to it as on a node, where it has time. */
  static async make(
    name: "go" | "ours",
    world: IpamWorld,
    folder: string,
    server?: string,
    agent?: TestAgent,
  ): Promise<IpamSide> {
    mkdirSync(folder, { recursive: true });
    const kubeconfig = join(folder, "kubeconfig");
    await Bun.write(kubeconfig, await world.kubeconfig(name === "go" ? "whereabouts" : "polynic", server));
    // Go's refuses to work without one.
    await Bun.write(
      join(folder, "whereabouts.conf"),
      JSON.stringify({ kubernetes: { kubeconfig }, log_level: "error" }),
    );
    return new IpamSide(name, folder, kubeconfig, agent);
  }

  /** ADD or DEL of one sandbox: a process, as a runtime would start it. */
  async call(
    command: "ADD" | "DEL",
    { range, over = {}, more = {}, sandbox, node = "node-1", ...rest }: IpamCall,
  ): Promise<CniOutcome> {
    const { pod = sandbox, podUid = `uid-${sandbox}`, deadlineMs = 150_000, network = "lan" } = rest;
    const own = this.name === "go" ? {} : { data_dir: join(this.folder, node) };
    const ipam = {
      type: "whereabouts",
      range,
      configuration_path: join(this.folder, "whereabouts.conf"),
      log_level: "error",
      ...own,
      ...over,
    };
    return await callCni({
      executable: join(this.name === "go" ? peerTools("whereabouts").bin : polynicBin, "whereabouts"),
      command,
      config: { cniVersion: "1.0.0", name: network, type: "macvlan", ...more, ipam },
      containerId: sandbox,
      ifName: "net1",
      netns: "/proc/self/ns/net",
      args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod};K8S_POD_UID=${podUid}`,
      // Neither of them looks into the namespace: addresses are all that is asked for.
      env: { NODENAME: node, CNI_NETNS_OVERRIDE: "1", POLYNIC_AGENT: this.agent?.socket ?? "off" },
      deadlineMs,
    });
  }
}

/** The addresses of a result, without their lengths; none for a failure. */
export function addressesOf({ exitCode, result }: CniOutcome): string[] {
  if (exitCode !== 0) return [];
  const { ips = [] } = (result ?? {}) as { readonly ips?: readonly { readonly address: string }[] };
  return ips.map(({ address }) => address.replace(/\/.*/, ""));
}

/** Runs `work` for each item, so many at once. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = [...items];
  const worker = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
}
