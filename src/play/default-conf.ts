import type { JsonObject } from "../json/value.ts";
import { layout } from "./state.ts";

/** Where play keeps everything unless it is told otherwise: a file system that forgets at reboot, as network namespaces do. */
export const defaultRoot = "/run/polynic/play";

/** Addresses of the default network unless it is told otherwise. */
export const defaultPodCidr = "10.88.0.0/16";

const defaultInterface = "eth0";
const version = "1.1.0";

/** What the configuration of a play without one of its own depends on. */
export interface ConfOptions {
  /** Folder for all that is kept between calls. */
  readonly root: string;
  /** Directory of the manifests that pods and networks are looked up in. */
  readonly manifests: string;
  /** Addresses of the default network, as in "10.88.0.0/16". */
  readonly podCidr: string;
  /** Pods may have ports of the node: portmap stands behind the bridge. Without need it does not: it would look at the packet filter at each DEL. */
  readonly publishes: boolean;
}

/**
 * The configuration that a node would have in /etc/cni/net.d/00-multus.conf: a bridge for the default network, with leases, journals
 * and log under the root, so that plays under different roots don't meet.
 */
export function defaultConf({ root, manifests, podCidr, publishes }: ConfOptions): JsonObject {
  const bridge = {
    type: "bridge",
    bridge: defaultBridge(root),
    isDefaultGateway: true,
    ipam: { type: "host-local", dataDir: layout.ipam(root), ranges: [[{ subnet: podCidr }]] },
  };
  const capabilities = { portMappings: true };
  return {
    cniVersion: version,
    name: "multus-cni-network",
    type: "multus",
    ...(publishes ? { capabilities } : {}),
    manifests,
    cniDir: layout.multus(root),
    logFile: layout.log(root),
    logLevel: "verbose",
    logToStderr: false,
    delegates: [
      {
        cniVersion: version,
        name: "default-network",
        // A pod reaches itself by its port of the node through the bridge's port that it came from.
        ...(publishes
          ? {
              plugins: [
                { ...bridge, hairpinMode: true },
                { type: "portmap", capabilities },
              ],
            }
          : bridge),
      },
    ],
  };
}

/** Name of the default network's bridge: one for each root, since each hands out addresses of its own. */
export function defaultBridge(root: string): string {
  if (root === defaultRoot) return "polynic0";
  return `polynic-${new Bun.CryptoHasher("sha256").update(root).digest("hex").slice(0, 7)}`;
}

/** CNI_IFNAME of the default network, the same as under Kubernetes. */
export const podInterface = defaultInterface;
