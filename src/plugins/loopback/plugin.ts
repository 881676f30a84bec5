import { CniError, code } from "../../cni/error.ts";
import type { AddCall, CheckCall, DelCall, Plugin } from "../../cni/plugin.ts";
import type { Result } from "../../cni/result.ts";
import { formatIp, isLoopback } from "../../ip/address.ts";
import { formatMac } from "../../ip/mac.ts";
import type { Netns } from "../../netns/netns.ts";
import { type Address, listAddresses } from "../../rtnl/address.ts";
import { type Link, requireLink } from "../../rtnl/link.ts";
import { setLink } from "../../rtnl/link-change.ts";
import { explained } from "../common/explain.ts";
import { openPod } from "../common/pod-netns.ts";

const name = "lo";

/** Brings the pod's "lo" up, whatever CNI_IFNAME says. */
export const plugin: Plugin<undefined> = { name: "loopback", parse: () => undefined, add, del, check };

/** Hands on the previous result if there is one; else the result is "lo" with its first address of each family. */
function add({ conf, netns, undo }: AddCall<undefined>): Result {
  const pod = openPod(netns);
  const link = loopbackOf(pod);
  refuseForeign(addressesOf(pod, link));
  setUp(pod, true);
  if (!link.up) undo.push(`${name} up`, () => setUp(pod, false));
  if (conf.prevResult !== undefined) return conf.prevResult;
  // Those that it has by itself it got just now.
  const addresses = addressesOf(pod, link);
  const first = (family: 4 | 6) => addresses.find(({ prefix }) => prefix.ip.family === family);
  return {
    interfaces: [{ name, mac: formatMac(link.mac), sandbox: netns.path }],
    ips: [first(4), first(6)]
      .filter((each) => each !== undefined)
      .map(({ prefix }) => ({ address: prefix, interface: 0 })),
    routes: [],
    dns: {},
  };
}

/** A namespace that is gone has no "lo" to set down. */
function del({ netns }: DelCall<undefined>): void {
  const pod = netns.openIfExists();
  if (pod !== undefined) setUp(pod, false);
}

function check({ netns }: CheckCall<undefined>): void {
  if (!loopbackOf(openPod(netns)).up) throw new CniError(code.internal, "loopback interface is down");
}

function refuseForeign(addresses: readonly Address[]): void {
  const foreign = addresses.find(({ prefix }) => !isLoopback(prefix.ip));
  if (foreign === undefined) return;
  throw new CniError(
    code.internal,
    `loopback interface found with non-loopback address "${formatIp(foreign.prefix.ip)}"; take it off "${name}" of the pod`,
  );
}

function addressesOf(pod: Netns, link: Link): Address[] {
  return explained(`failed to list the addresses of "${name}"`, () => listAddresses(pod.rtnl, { device: link }));
}

function loopbackOf(pod: Netns): Link {
  return explained(`failed to look up "${name}"`, () => requireLink(pod.rtnl, name));
}

function setUp(pod: Netns, up: boolean): void {
  explained(`failed to set "${name}" ${up ? "UP" : "DOWN"}`, () => pod.rtnl.run(setLink(name, { up })));
}
