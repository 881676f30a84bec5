import { CniError, code } from "../../cni/error.ts";
import type { CheckCall } from "../../cni/plugin.ts";
import type { Netns } from "../../netns/netns.ts";
import { getLink } from "../../rtnl/link.ts";
import { explained } from "../common/explain.ts";
import { equalMac } from "../common/mac.ts";
import { openPod } from "../common/pod-netns.ts";
import { checkSysctls, resolveSysctls } from "../common/sysctls.ts";
import type { TuningConfig } from "./config.ts";
import { hasSettings, type LinkSettings, settingsOf } from "./link-settings.ts";

/**
 * CHECK: whether sysctls and interface still are as the config wants them; what it does not speak of may be as it likes. Throws `CniError` code
 * 999 in upstream's words.
 */
export function check({ config, ifName, netns }: CheckCall<TuningConfig>): void {
  const pod = openPod(netns);
  checkSysctls(pod, resolveSysctls(config.sysctls, ifName), "Tuning configured");
  if (hasSettings(config.settings)) checkSettings(pod, ifName, config.settings);
}

function checkSettings(pod: Netns, ifName: string, wanted: LinkSettings): void {
  const link = explained(`failed to look up "${ifName}"`, () => getLink(pod.rtnl, ifName));
  if (link === undefined) throw mismatch(`Cannot find container link ${ifName}`);
  const { mac = "", promisc, mtu, allmulti, txQLen } = settingsOf(link);
  if (wanted.mac !== undefined && !equalMac(wanted.mac, mac)) differs(`Ethernet of ${ifName}`, wanted.mac, mac);
  if (wanted.promisc !== undefined && wanted.promisc !== promisc) {
    const words = `Tuning link ${ifName} configured promisc is ${wanted.promisc}`;
    throw mismatch(`Error: ${words}, current value is ${promisc === true ? 1 : 0}`);
  }
  if (wanted.mtu !== undefined && wanted.mtu !== mtu) differs(`MTU of ${ifName}`, wanted.mtu, mtu);
  if (wanted.allmulti !== undefined && wanted.allmulti !== allmulti) {
    differs(`all-multicast mode of ${ifName}`, wanted.allmulti, allmulti);
  }
  if (wanted.txQLen !== undefined && wanted.txQLen !== txQLen) {
    differs(`Transmit Queue Length of ${ifName}`, wanted.txQLen, txQLen);
  }
}

function differs(what: string, wanted: unknown, found: unknown): never {
  throw mismatch(`Error: Tuning configured ${what} is ${String(wanted)}, current value is ${String(found)}`);
}

function mismatch(message: string): CniError {
  return new CniError(code.internal, message);
}
