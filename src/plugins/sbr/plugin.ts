import { CniError, code } from "../../cni/error.ts";
import type { Plugin, StatusCall } from "../../cni/plugin.ts";
import { listRules } from "../../rtnl/rule.ts";
import { add } from "./add.ts";
import { check } from "./check.ts";
import { parseConfig, type SbrConfig } from "./config.ts";
import { del } from "./del.ts";

/**
 * Source based routing: what a pod sends from an address of this interface leaves by this interface, whatever the pod's default route says.
 * All that it makes is in the pod's namespace and goes with it, so there is nothing for GC.
 */
export const plugin: Plugin<SbrConfig> = { name: "sbr", parse: parseConfig, add, del, check, status };

/** Rules are a matter of the kernel, which node and pods share. */
function status({ host }: StatusCall<SbrConfig>): void {
  try {
    listRules(host.rtnl);
  } catch (error) {
    const { message } = CniError.from(error);
    throw new CniError(code.notAvailable, `this kernel can't route by source: ${message}`, "", { cause: error });
  }
}
