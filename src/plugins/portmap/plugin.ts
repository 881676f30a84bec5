import { CniError, code } from "../../cni/error.ts";
import type { AddCall, AttachmentCall, CheckCall, DelCall, GcCall, Plugin, StatusCall } from "../../cni/plugin.ts";
import type { Result } from "../../cni/result.ts";
import type { Ip } from "../../ip/address.ts";
import type { Prefix } from "../../ip/prefix.ts";
import type { Owner } from "../filter/names.ts";
import { parseConfig, type PortmapConfig } from "./config.ts";
import { checkRules, collectRules, removeRules, setUpRules } from "./rules.ts";

/** Ports of the node that lead to ports of the pod: chained behind the plugin that gives the pod its addresses. */
export const plugin: Plugin<PortmapConfig> = {
  name: "portmap",
  parse: parseConfig,
  add,
  del,
  check,
  status,
  gc,
};

async function add(call: AddCall<PortmapConfig>): Promise<Result> {
  const { conf, config, host, log, undo } = call;
  const { prevResult } = conf;
  if (prevResult === undefined) throw new CniError(code.invalidConfig, "must be called as chained plugin");
  if (config.mappings.length === 0) return prevResult;
  const addresses = addressesOf(prevResult, call.ifName);
  if (addresses.length === 0) {
    log.error(`no port of the node leads to ${call.ifName}: the previous result has no address for it`);
    return prevResult;
  }
  const owner = ownerOf(call);
  const ips = addresses.map(({ ip }) => ip);
  undo.push(`port mappings of ${call.ifName}`, () => removeRules(host, { ...owner, config, addresses: ips }, log));
  const backend = await setUpRules({ host, owner, config, addresses, log });
  log.verbose(`port mappings of ${call.ifName} by ${backend} (${config.reason})`);
  if (config.mappings.some(({ protocol }) => protocol !== "tcp")) {
    const { forgetOldFlows } = await import("./stale-flows.ts");
    forgetOldFlows(host, config, addresses, log);
  }
  const v4 = addresses.find(({ ip }) => ip.family === 4);
  if (config.snat && v4 !== undefined) {
    const { routeLocalhost } = await import("./localhost.ts");
    routeLocalhost(host, v4.ip, log);
  }
  return prevResult;
}

/** Needs neither mappings, previous result, namespace nor a valid config; all of them only make it surer of what to forget. */
async function del(call: DelCall<PortmapConfig>): Promise<void> {
  const { conf, config, host, log } = call;
  await removeRules(host, { ...ownerOf(call), config, addresses: ipsOf(conf.prevResult, call.ifName) }, log);
}

async function check(call: CheckCall<PortmapConfig>): Promise<void> {
  const { config, host, log, prevResult } = call;
  const addresses = addressesOf(prevResult, call.ifName);
  if (config.mappings.length === 0 || addresses.length === 0) return;
  const backend = await checkRules({ host, owner: ownerOf(call), config, addresses, log });
  log.verbose(`port mappings of ${call.ifName} by ${backend} (${config.reason})`);
}

async function status({ config, host, log }: StatusCall<PortmapConfig>): Promise<void> {
  const { usableBackend } = await import("./status.ts");
  log.verbose(`port mappings by ${await usableBackend(host, config)}`);
}

async function gc({ conf, host, log, valid }: GcCall<PortmapConfig>): Promise<void> {
  await collectRules(host, conf.name, valid, log);
}

/**
 * The first address of each IP version that is for the pod's interface, or that says of none, with the length of its subnet: as upstream
 * chooses. One with an interface that the result does not have counts too.
 */
function addressesOf({ interfaces, ips }: Result, ifName: string): Prefix[] {
  const chosen: Prefix[] = [];
  for (const { address, interface: index } of ips) {
    if (chosen.some(({ ip }) => ip.family === address.ip.family)) continue;
    const of = index === undefined ? undefined : interfaces[index];
    if (of !== undefined && (of.name !== ifName || (of.sandbox ?? "") === "")) continue;
    chosen.push(address);
  }
  return chosen;
}

function ipsOf(prevResult: Result | undefined, ifName: string): Ip[] | undefined {
  const addresses = prevResult === undefined ? [] : addressesOf(prevResult, ifName);
  return addresses.length === 0 ? undefined : addresses.map(({ ip }) => ip);
}

function ownerOf({ conf, containerId, ifName }: AttachmentCall): Owner {
  return { network: conf.name, containerId, ifName };
}
