import { CniError, code } from "../../cni/error.ts";
import type { CheckCall } from "../../cni/plugin.ts";
import type { Result, ResultInterface } from "../../cni/result.ts";
import { formatMac } from "../../ip/mac.ts";
import { formatPrefix } from "../../ip/prefix.ts";
import type { Netns } from "../../netns/netns.ts";
import { type BridgeVlan, listBridgeVlans } from "../../rtnl/bridge-vlan.ts";
import { getLink, type Link } from "../../rtnl/link.ts";
import { checkAddressing, checkLink, findPodInterface } from "../common/check.ts";
import { checkEarlySysctls } from "../common/early-sysctls.ts";
import { explained } from "../common/explain.ts";
import { equalMac } from "../common/mac.ts";
import { openPod } from "../common/pod-netns.ts";
import { type BridgeConfig, vlanGatewayName } from "./config.ts";
import { switchesOff } from "./forwarding.ts";
import { completeAddressing } from "./gateway.ts";
import { missingGateways } from "./gateway-address.ts";
import { wantedVlans } from "./port-vlans.ts";
import { checkRules } from "./rules.ts";

/**
 * CHECK: whether the pod still gets what ADD gave it: the bridge, the pair between it and the pod, the port's settings and VLANs, addresses
 * and routes, the gateway, forwarding, and the rules. The IPAM plugin's CHECK runs if there is one; upstream wants one and so can't check
 * a network without addresses. The bridge may be promiscuous for others' sake: only where it is to be and is not, that is an error. Throws
 * `CniError`, in upstream's words where it looks at the same.
 */
export async function check(call: CheckCall<BridgeConfig>): Promise<void> {
  const { config, host, ifName, ipam, prevResult } = call;
  await ipam.check();
  const pod = openPod(call.netns);
  const bridge = checkBridge(host, config, prevResult);
  const found = findPodInterface(prevResult, ifName, pod);
  const link = checkLink(pod, found);
  if (link.kind !== "veth") throw mismatch(`Error: Container interface ${ifName} not of type veth`);
  const port = checkPort(host, bridge, link, config, prevResult);
  checkVlans(host, port, config);
  if (!config.disableContainerInterface && !link.up) throw mismatch(`interface ${ifName} is down`);
  checkAddressing(pod, link, prevResult, found.index);
  await checkEarlySysctls(call, pod);
  const ips = prevResult.ips.filter((ip) => ip.interface === undefined || ip.interface === found.index);
  if (ipam.type === "") {
    await checkRules(call, { port: port.name, pod: link }, []);
    return;
  }
  checkGateways(host, bridge, config, { ips, routes: prevResult.routes });
  await checkRules(
    call,
    { port: port.name, pod: link },
    ips.map(({ address }) => address),
  );
}

function checkBridge(host: Netns, config: BridgeConfig, prevResult: Result): Link {
  const link = lookUp(host, config.bridge);
  if (link === undefined)
    throw mismatch(`Interface name ${config.bridge} not found: the bridge of this network is gone`);
  if (link.kind !== "bridge") throw mismatch(`Interface ${link.name} does not have link type of bridge`);
  const told = onNode(prevResult).find(({ name }) => name === config.bridge);
  // Only a gateway's MAC is held fast; without one the kernel may change that of a bridge that others have made.
  if (config.isGateway && told !== undefined && !hasMac(link, told)) {
    throw mismatch(`Bridge interface ${link.name} Mac doesn't match: ${told.mac ?? ""}: it has ${formatMac(link.mac)}`);
  }
  if (config.promisc && !link.promisc) {
    throw mismatch(
      `Bridge interface ${link.name} configured Promisc Mode true doesn't match current state: ${link.promisc} `,
    );
  }
  if (!link.up) throw mismatch(`bridge ${link.name} is down`);
  return link;
}

/** The port is the peer of the pod's interface; a result of upstream's names it among others. */
function checkPort(host: Netns, bridge: Link, pod: Link, config: BridgeConfig, prevResult: Result): Link {
  const notFound = (reason: string) => mismatch(`CNI veth created for bridge ${bridge.name} was not found: ${reason}`);
  const port = pod.parent === undefined ? undefined : lookUp(host, pod.parent);
  if (port?.kind !== "veth" || port.parent !== pod.index) {
    throw notFound(`the peer of ${pod.name} is not in this network namespace`);
  }
  const told = onNode(prevResult).find(({ name }) => name === port.name);
  if (told === undefined) throw notFound(`the peer of ${pod.name} is ${port.name}, of which prevResult does not know`);
  if (!hasMac(port, told)) {
    throw mismatch(
      `Interface ${port.name} Mac doesn't match: ${told.mac ?? ""} not found: it has ${formatMac(port.mac)}`,
    );
  }
  if (port.master !== bridge.index) throw notFound(`${port.name} is not a port of ${bridge.name}`);
  if (!port.up) throw mismatch(`bridge port ${port.name} is down`);
  const settings = [
    ["hairpin mode", port.port?.hairpin, config.hairpin],
    ["isolation", port.port?.isolated, config.portIsolation],
  ] as const;
  for (const [what, is, wanted] of settings) {
    if (is !== undefined && is !== wanted) throw mismatch(`${what} of bridge port ${port.name} is ${onOff(is)}`);
  }
  return port;
}

function checkVlans(host: Netns, port: Link, config: BridgeConfig): void {
  const wanted = wantedVlans(config);
  if (wanted.length === 0) return;
  const all = explained("failed to list the VLANs of bridge ports", () => listBridgeVlans(host.rtnl));
  const present = expand(all.find(({ device }) => device === port.index)?.vlans ?? []);
  const missing = [...expand(wanted)]
    .filter(([id, kind]) => present.get(id) !== kind)
    .map(([id, kind]) => `${id} ${kind}`);
  if (missing.length > 0) throw mismatch(`bridge port ${port.name} is not in VLAN ${missing.join(", ")}`);
  const extra = [...present.keys()].filter((id) => !expand(wanted).has(id));
  // What is preserved may be more than one, if the bridge's own default has changed since.
  if (extra.length === 0 || config.preserveDefaultVlan) return;
  throw mismatch(`bridge port ${port.name} is in VLAN ${extra.join(", ")} too`);
}

/** Each id with how the pod's frames of it look. */
function expand(vlans: readonly BridgeVlan[]): Map<number, string> {
  const ids = new Map<number, string>();
  for (const { id, lastId = id, pvid, untagged } of vlans) {
    for (let each = id; each <= lastId; each++) ids.set(each, describeVlan(pvid === true, untagged === true));
  }
  return ids;
}

function describeVlan(pvid: boolean, untagged: boolean): string {
  if (pvid && untagged) return "untagged";
  if (!pvid && !untagged) return "tagged";
  return pvid ? "untagged in, tagged out" : "tagged in, untagged out";
}

function checkGateways(host: Netns, bridge: Link, config: BridgeConfig, given: Pick<Result, "ips" | "routes">): void {
  const { gateways } = completeAddressing(given, config);
  if (gateways.length === 0) return;
  const device = config.vlan === 0 ? bridge : lookUp(host, vlanGatewayName(config));
  if (device === undefined)
    throw mismatch(`${vlanGatewayName(config)}, the gateway of VLAN ${config.vlan}, was not found`);
  if (!device.up) throw mismatch(`${device.name}, the gateway, is down`);
  const missing = missingGateways(host, device, gateways);
  if (missing.length > 0) throw mismatch(`gateway ${missing.map(formatPrefix).join(", ")} is not on ${device.name}`);
  const off = switchesOff(host, [...new Set(gateways.map(({ ip }) => ip.family))]);
  if (off.length > 0) throw mismatch(`the gateway does not forward: sysctl ${off.join(", ")} is not 1`);
}

function onNode({ interfaces }: Result): readonly ResultInterface[] {
  return interfaces.filter(({ sandbox }) => (sandbox ?? "") === "");
}

function hasMac(link: Link, { mac = "" }: ResultInterface): boolean {
  return mac === "" || equalMac(mac, formatMac(link.mac));
}

function lookUp(host: Netns, target: string | number): Link | undefined {
  return explained(`failed to look up ${target}`, () => getLink(host.rtnl, target));
}

function onOff(on: boolean): string {
  return on ? "on" : "off";
}

function mismatch(message: string): CniError {
  return new CniError(code.internal, message);
}
