import { CniError, code } from "../../cni/error.ts";
import type { AttachmentCall } from "../../cni/plugin.ts";
import { flag, getField, mapOf, optional, struct, text } from "../../json/struct.ts";
import type { Netns } from "../../netns/netns.ts";
import { decodeConfig } from "./parse.ts";

// `sysctl` of a plugin that makes an interface is polynic's own key: tuning comes when the interface is up, and by then IPv6 has taken what
// routers advertise (accept_ra), made addresses (autoconf, addr_gen_mode) and probed for duplicates (accept_dad).

/** Sets them; in the namespace that the thread is in, so that whoever is there for other work need not enter it twice. Throws `CniError`. */
export type EarlySysctls = () => void;

type Wanted = Pick<AttachmentCall, "conf" | "ifName">;

/**
 * Sets what the interface is to have before it comes up, `sysctl` of the config: undefined for none, which is what most configs have. Its own
 * sysctls only: they go with it, so that there is nothing to put back. Throws `CniError` code 7 for others, and for those that the node's list does not allow.
 */
export async function earlySysctls(call: Wanted): Promise<EarlySysctls | undefined> {
  if (getField(call.conf.raw, "sysctl") === undefined) return undefined;
  const { sysctls, requiresAllowlist } = await wantedOf(call);
  const { requireAllowed } = await import("./sysctl-allowlist.ts");
  const { setSysctlsHere } = await import("./sysctls.ts");
  requireAllowed(
    sysctls.map(({ key }) => key),
    requiresAllowlist,
  );
  return () => setSysctlsHere(sysctls);
}

/** Whether they still say what the config wants. Throws `CniError` code 999 for the first that does not. */
export async function checkEarlySysctls(call: Wanted, pod: Netns): Promise<void> {
  if (getField(call.conf.raw, "sysctl") === undefined) return;
  const { sysctls } = await wantedOf(call);
  const { checkSysctls } = await import("./sysctls.ts");
  checkSysctls(pod, sysctls, "configured");
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
