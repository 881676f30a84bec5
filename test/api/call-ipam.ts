import { join } from "node:path";
import type { ApiSite } from "../kit/api-site.ts";
import { callCni, type CniOutcome, polynicBin } from "../kit/cni-caller.ts";
import type { Json, SitePod } from "../kit/multus-site.ts";

/** Calls our whereabouts by its own name, as a Go plugin would. */
export function callIpam(
  site: ApiSite,
  command: string,
  pod: SitePod,
  config: Json,
  env: Readonly<Record<string, string>> = {},
  onStart: (pid: number) => void = () => {},
): Promise<CniOutcome> {
  return callCni({
    env,
    onStart,
    executable: join(polynicBin, "whereabouts"),
    command,
    config,
    containerId: pod.containerId,
    ifName: "net1",
    netns: pod.netns.path,
    args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${pod.namespace};K8S_POD_NAME=${pod.name};K8S_POD_UID=${pod.uid}`,
    node: site.local.node,
  });
}
