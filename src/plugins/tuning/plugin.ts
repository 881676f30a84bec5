import { CniError, code } from "../../cni/error.ts";
import type { Plugin, StatusCall } from "../../cni/plugin.ts";
import { requireAllowed } from "../common/sysctl-allowlist.ts";
import { add } from "./add.ts";
import { check } from "./check.ts";
import { parseConfig, type TuningConfig } from "./config.ts";
import { del, gc } from "./del.ts";

/** Sysctls of the pod, and MAC, MTU, queue length and modes of the interface that the plugins before have made. */
export const plugin: Plugin<TuningConfig> = { name: "tuning", parse: parseConfig, add, del, check, status, gc };

/** No ADD can be served whose sysctls the node's list does not allow. */
function status({ config }: StatusCall<TuningConfig>): void {
  try {
    requireAllowed(Object.keys(config.sysctls), config.requiresAllowlist);
  } catch (error) {
    const { message, details } = CniError.from(error);
    throw new CniError(code.notAvailable, message, details, { cause: error });
  }
}
