import { isNetlinkError } from "../netlink/error.ts";
import { freshNetns } from "../netns/fresh.ts";
import type { Netns } from "../netns/netns.ts";
import { IptablesError, isIptablesError, listNat } from "../plugins/filter/iptables.ts";
import { nftIfAvailable } from "../plugins/filter/nft-of.ts";
import { missingKind } from "../plugins/common/kernel-kind.ts";
import { usableBackend } from "../plugins/portmap/status.ts";
import { addLink, type LinkSpec } from "../rtnl/link-change.ts";
import { getLink } from "../rtnl/link.ts";
import { failed, type Finding, ok, reasonOf, warning } from "./finding.ts";

/** Ends of one pair: a link that has macvlans can have no ipvlans, and the other way round. */
const master = "probe0";
const otherMaster = "probe1";

/**
 * Makes, in a network namespace of its own that goes afterwards, a link of every kind that plugins make, and asks for what packet filters
 * there are. The modules that the kernel loads for it stay loaded. Nothing of the node's own network is touched.
 */
export async function checkKernel(): Promise<Finding[]> {
  try {
    using netns = freshNetns();
    return [...links(netns), nfTables(netns), await iptables(netns), await portMappings(netns)];
  } catch (error) {
    const cure = "run as root on the node; in a container as privileged";
    return [failed("kernel-netns", `no network namespace can be made here: ${reasonOf(error)}`, cure)];
  }
}

function links(netns: Netns): Finding[] {
  const trouble = makeMasters(netns);
  if (trouble !== undefined) return [trouble];
  const [parent, otherParent] = [master, otherMaster].map((name) => getLink(netns.rtnl, name)?.index ?? 0);
  const specs: readonly LinkSpec[] = [
    { name: "br", data: { kind: "bridge" } },
    { name: "mac", parent, data: { kind: "macvlan", mode: "bridge" } },
    { name: "ipv", parent: otherParent, data: { kind: "ipvlan", mode: "l2" } },
    { name: "vlan", parent, data: { kind: "vlan", id: 100 } },
    { name: "vrf", data: { kind: "vrf", table: 100 } },
  ];
  return [ok("kernel-veth", "links of kind veth can be made"), ...specs.map((spec) => linkFinding(netns, spec))];
}

/** Links to put others on; a kernel without veth can give no pod anything. */
function makeMasters(netns: Netns): Finding | undefined {
  const spec: LinkSpec = { name: master, data: { kind: "veth", peer: { name: otherMaster } } };
  const [error] = netns.rtnl.batch([addLink(spec)]);
  return error === undefined ? undefined : failed("kernel-veth", reasonOf(error), missingKind("veth"));
}

function linkFinding(netns: Netns, spec: LinkSpec): Finding {
  const { kind } = spec.data;
  const code = `kernel-${kind}`;
  const [error] = netns.rtnl.batch([addLink(spec)]);
  if (error === undefined) return ok(code, `links of kind ${kind} can be made`);
  const cure = isNetlinkError(error, "EOPNOTSUPP") ? missingKind(kind) : "see the kernel's log (dmesg)";
  return warning(code, `networks of type ${kind} will fail: ${reasonOf(error)}`, cure);
}

function nfTables(netns: Netns): Finding {
  if (nftIfAvailable(netns) !== undefined) return ok("kernel-nftables", "nf_tables is there");
  const cure = "load the module nf_tables (modprobe nf_tables), or use networks without macspoofchk and with iptables";
  return warning("kernel-nftables", "the kernel has no nf_tables", cure);
}

/** A host may have the program and a kernel that can't do it, so its table is asked for. */
async function iptables(netns: Netns): Promise<Finding> {
  const code = "kernel-iptables";
  try {
    await listNat(netns, 4);
  } catch (error) {
    if (!(error instanceof IptablesError)) throw error;
    // Somebody is just using it.
    if (!isIptablesError(error, "busy")) {
      const cure = "install iptables on the node, or let port mappings and masquerading go by nftables";
      return warning(code, reasonOf(error), cure);
    }
  }
  return ok(code, "iptables is there, and the kernel does what it asks for");
}

/** By which of the two packet filters ports would be mapped, and why. */
async function portMappings(netns: Netns): Promise<Finding> {
  const code = "portmap-backend";
  const config = { backend: undefined, reason: "it works here" };
  try {
    return ok(code, `port mappings would be made by ${await usableBackend(netns, config)}`);
  } catch (error) {
    return warning(code, reasonOf(error), "install iptables on the node, or load the module nf_tables");
  }
}
