import { CniError, code } from "../../cni/error.ts";
import type { Plugin, StatusCall } from "../../cni/plugin.ts";
import { getLink } from "../../rtnl/link.ts";
import { explained } from "../common/explain.ts";
import { add } from "./add.ts";
import { check } from "./check.ts";
import { type BridgeConfig, parseConfig } from "./config.ts";
import { del, gc } from "./del.ts";
import { notBridge } from "./host-bridge.ts";

/** A veth pair between the pod and a bridge on the node, which may be the pod's gateway. */
export const plugin: Plugin<BridgeConfig> = {
  name: "bridge",
  ownsLink: true,
  parse: parseConfig,
  add,
  del,
  check,
  status,
  gc,
};

async function status({ config, host, ipam }: StatusCall<BridgeConfig>): Promise<void> {
  await ipam.status();
  const link = explained(`failed to look up ${config.bridge}`, () => getLink(host.rtnl, config.bridge));
  if (link === undefined || link.kind === "bridge") return;
  throw new CniError(code.notAvailable, notBridge(link).message);
}
