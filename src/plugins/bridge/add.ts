import { CniError, code } from "../../cni/error.ts";
import type { AddCall } from "../../cni/plugin.ts";
import { type Dns, emptyResult, type Result, type ResultInterface } from "../../cni/result.ts";
import { formatMac } from "../../ip/mac.ts";
import type { Netns } from "../../netns/netns.ts";
import type { Link } from "../../rtnl/link.ts";
import { bringUp, configureInterface } from "../common/configure.ts";
import { chooseDns } from "../common/dns.ts";
import { type EarlySysctls, earlySysctls } from "../common/early-sysctls.ts";
import { hostAlias } from "../common/host-end.ts";
import { openPod } from "../common/pod-netns.ts";
import { deleteIfExists } from "../common/remove-link.ts";
import { createVeth, type VethPair } from "../common/veth.ts";
import type { BridgeConfig } from "./config.ts";
import { enableForwarding } from "./forwarding.ts";
import { type Addressing, completeAddressing, podInterface } from "./gateway.ts";
import { ensureGateways } from "./gateway-address.ts";
import { ensureBridge } from "./host-bridge.ts";
import { attachPort, awaitPort, readPort } from "./port.ts";
import { addMasquerade, addSpoofCheck, ownerOf } from "./rules.ts";
import { ignoreAdvertisements, setDetection } from "./sysctls.ts";
import { ensureVlanGateway } from "./vlan-gateway.ts";

/** What the addresses have added to the attachment. */
interface Layer3 extends Pick<Addressing, "ips" | "routes"> {
  readonly dns: Dns;
  /** The device that stands for the gateway of a VLAN; undefined without one. */
  readonly vlanGateway: Link | undefined;
}

/** What there is before the addresses. */
interface Made {
  readonly pod: Netns;
  readonly bridge: Link;
  readonly pair: VethPair;
  readonly setEarly: EarlySysctls | undefined;
}

const layer2: Layer3 = { ...emptyResult, vlanGateway: undefined };

/**
 * ADD: a veth pair between the pod and a port of the bridge. Bridge, gateway and forwarding are the network's and stay whatever happens;
 * all that is the attachment's goes when a step fails, the link before its addresses are given back.
 */
export async function add(call: AddCall<BridgeConfig>): Promise<Result> {
  const { config, host, ifName, log } = call;
  const setEarly = await earlySysctls(call);
  const pod = openPod(call.netns);
  const bridge = ensureBridge(host, config, log);
  const pair = connect(call, pod, bridge);
  await addSpoofCheck(call, { port: pair.host.name, pod: pair.pod });
  const { ips, routes, dns, vlanGateway } = await configure(call, { pod, bridge, pair, setEarly });
  // Once more: the MAC of a bridge that is somebody else's may have changed with the new port.
  const found = config.disableContainerInterface
    ? readPort(host, pair.host, bridge)
    : awaitPort(host, pair.host, bridge, log);
  const interfaces = [
    onNode(found.bridge),
    onNode(found.port),
    { name: ifName, mac: formatMac(pair.pod.mac), sandbox: pod.path },
    ...(vlanGateway === undefined ? [] : [onNode(vlanGateway)]),
  ];
  return { interfaces, ips, routes, dns: chooseDns(config.dns, dns) };
}

function connect(call: AddCall<BridgeConfig>, pod: Netns, bridge: Link): VethPair {
  const { config, host, undo, log } = call;
  const owner = ownerOf(call);
  const pair = createVeth(pod, host, owner, config, undo);
  attachPort(host, bridge, pair.host, { ...config, alias: hostAlias(owner) });
  ignoreAdvertisements(host, [bridge.name, pair.host.name], log);
  return pair;
}

async function configure(call: AddCall<BridgeConfig>, made: Made): Promise<Layer3> {
  if (call.ipam.type !== "") return configureAddresses(call, made);
  const { pod, pair, setEarly } = made;
  if (!call.config.disableContainerInterface) bringUp(pod, pair.pod, setEarly);
  else if (setEarly !== undefined) pod.enter(setEarly);
  return layer2;
}

async function configureAddresses(call: AddCall<BridgeConfig>, { pod, bridge, pair, setEarly }: Made): Promise<Layer3> {
  const { config, ifName, ipam, undo, log } = call;
  const given = await ipam.add(undo);
  // Once more, so that a failure from here on takes the link away before its addresses are given back.
  undo.push(`link ${ifName}`, () => deleteIfExists(pod, ifName));
  if (given.ips.length === 0) throw new CniError(code.internal, "IPAM plugin returned missing IP config");
  const { ips, routes, gateways } = completeAddressing(given, config);
  const vlanGateway = await addMasquerade(call, ips, () => {
    setDetection(pod, ifName, config.detectDuplicates, log);
    const interfaces = [{ name: bridge.name }, { name: pair.host.name }, { name: pair.pod.name }];
    configureInterface(pod, pair.pod, { interfaces, ips, routes }, podInterface, {
      log,
      undo,
      announce: true,
      detectDuplicates: config.detectDuplicates,
      setEarly,
    });
    return gateways.length === 0 ? undefined : standForGateways(call, bridge, gateways);
  });
  return { ips, routes, dns: given.dns, vlanGateway };
}

/** Gives the gateways to the bridge or, in a VLAN, to the device beside it, which is returned. */
function standForGateways(
  { config, host, log }: AddCall<BridgeConfig>,
  bridge: Link,
  gateways: Addressing["gateways"],
): Link | undefined {
  const vlanGateway = config.vlan === 0 ? undefined : ensureVlanGateway(host, bridge, config, log);
  try {
    ensureGateways(host, vlanGateway ?? bridge, gateways, config);
  } catch (error) {
    const what = vlanGateway === undefined ? "set bridge addr" : "set vlan interface for bridge with addr";
    throw CniError.from(error).within(`failed to ${what}: `);
  }
  const families = new Set<4 | 6>();
  for (const { ip } of gateways) families.add(ip.family);
  enableForwarding(host, families);
  return vlanGateway;
}

function onNode({ name, mac }: Link): ResultInterface {
  return { name, mac: formatMac(mac) };
}
