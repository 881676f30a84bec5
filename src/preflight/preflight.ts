import { getField } from "../json/struct.ts";
import { checkCluster } from "./cluster.ts";
import { checkConf, type DispatcherReader } from "./conf.ts";
import { type Finding, skipped } from "./finding.ts";
import { checkFolders, type Folders } from "./folders.ts";
import { checkKernel } from "./kernel.ts";
import { checkSystem } from "./system.ts";

export interface PreflightOptions extends Folders {
  /** Only what an install needs; what an install makes is not asked for yet. */
  readonly isBefore: boolean;
  /** "" for what the dispatcher's config names. */
  readonly kubeconfig: string;
  readonly readKeys: DispatcherReader;
  /** Where the node's / is seen; "/" on the node. */
  readonly root: string;
}

/** Every check, in the order in which a reader would look. None of them changes anything. */
export async function preflight(options: PreflightOptions): Promise<Finding[]> {
  const { isBefore, root } = options;
  const findings = [...checkSystem(root), ...(await checkKernel()), ...checkFolders(options, !isBefore)];
  if (isBefore) {
    const named = options.kubeconfig === "" ? [] : await checkCluster(options.kubeconfig);
    return [...findings, skipped("conf-order", "not asked for before the install"), ...named];
  }
  const { findings: conf, dispatcher } = checkConf(options.confDir, options.readKeys);
  const named = dispatcher === undefined ? undefined : getField(dispatcher, "kubeconfig");
  const kubeconfig = options.kubeconfig || (typeof named === "string" ? named : "");
  return [...findings, ...conf, ...(await checkCluster(kubeconfig))];
}
