import { CniError, code } from "../../cni/error.ts";
import type { AttachmentCall } from "../../cni/plugin.ts";
import { flag, getField, mapOf, optional, struct, text } from "../../json/struct.ts";
import type { Netns } from "../../netns/netns.ts";
import { decodeConfig } from "./parse.ts";
import type { Sysctl } from "./sysctls.ts";

// `sysctl` of a plugin that makes an interface is polynic's own key: tuning comes when the interface is up, and by then IPv6 has taken what
// routers advertise (accept_ra), made addresses (autoconf, addr_gen_mode) and probed for duplicates (accept_dad).

type Wanted = Pick<AttachmentCall, "conf" | "ifName">;

/**
 * The sysctls that the interface is to have before it comes up: `sysctl` of the config, mostly none. Its own only: they go with it, so that
 * there is nothing to put back. Throws `CniError` code 7 for others, and for those that the node's list does not allow.
 */
export async function earlySysctls(call: Wanted): Promise<readonly Sysctl[]> {
  if (getField(call.conf.raw, "sysctl") === undefined) return [];
  const { sysctls, requiresAllowlist } = await wantedOf(call);
  const { requireAllowed } = await import("./sysctl-allowlist.ts");
  requireAllowed(
    sysctls.map(({ key }) => key),
    requiresAllowlist,
  );
  return sysctls;
}

/** Whether they still say what the config wants. Throws `CniError` code 999 for the first that does not. */
export async function checkEarlySysctls(call: Wanted, pod: Netns): Promise<void> {
  if (getField(call.conf.raw, "sysctl") === undefined) return;
  const { sysctls } = await wantedOf(call);
  const { checkSysctls } = await import("./sysctls.ts");
  checkSysctls(pod, sysctls);
}

async function wantedOf({ conf, ifName }: Wanted) {
  const { isOfInterface, resolveSysctls } = await import("./sysctls.ts");
  const schema = struct({ sysctl: optional(mapOf(text()), {}), requireAllowlist: optional(flag(), false) });
  const { sysctl, requireAllowlist } = decodeConfig(schema, conf);
  const sysctls = resolveSysctls(sysctl, ifName);
  for (const { key, path } of sysctls) {
    if (isOfInterface(path, ifName)) continue;
    throw new CniError(
      code.invalidConfig,
      `sysctl ${JSON.stringify(key)} is not one of the interface`,
      `"sysctl" here takes those below net.ipv4.conf.IFNAME and the like; the pod's other sysctls are for a plugin of type tuning behind this one`,
    );
  }
  return { sysctls, requiresAllowlist: requireAllowlist };
}
