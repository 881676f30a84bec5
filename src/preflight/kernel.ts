import { isNetlinkError } from "../netlink/error.ts";
import { freshNetns } from "../netns/fresh.ts";
import type { Netns } from "../netns/netns.ts";
import { nftIfAvailable } from "../plugins/filter/nft-of.ts";
import { missingKind } from "../plugins/common/kernel-kind.ts";
import { usableBackend } from "../plugins/portmap/status.ts";
import { addLink, type LinkSpec } from "../rtnl/link-change.ts";
import { getLink } from "../rtnl/link.ts";
import { failed, type Finding, ok, reasonOf, warning } from "./finding.ts";

const master = "probe0";

/**
 * Makes, in a network namespace of its own that goes afterwards, a link of every kind that plugins make, and asks for what packet filters
 * there are. The modules that the kernel loads for it stay loaded. Nothing of the node's own network is touched.
 */
export async function checkKernel(): Promise<Finding[]> {
  try {
    using netns = freshNetns();
    return [...links(netns), nfTables(netns), await portMappings(netns)];
  } catch (error) {
    const cure = "run as root on the node; in a container as privileged";
    return [failed("kernel-netns", `no network namespace can be made here: ${reasonOf(error)}`, cure)];
  }
}

function links(netns: Netns): Finding[] {
  const parent = makeMaster(netns);
  if (typeof parent !== "number") return [parent];
  const specs: readonly LinkSpec[] = [
    { name: "br", data: { kind: "bridge" } },
    { name: "mac", parent, data: { kind: "macvlan", mode: "bridge" } },
    { name: "ipv", parent, data: { kind: "ipvlan", mode: "l2" } },
    { name: "vlan", parent, data: { kind: "vlan", id: 100 } },
    { name: "vrf", data: { kind: "vrf", table: 100 } },
  ];
  return [ok("kernel-veth", "links of kind veth can be made"), ...specs.map((spec) => linkFinding(netns, spec))];
}

/** The index of a link to put others on; a kernel without veth can give no pod anything. */
function makeMaster(netns: Netns): number | Finding {
  const [error] = netns.rtnl.batch([addLink({ name: master, data: { kind: "veth", peer: { name: "probe1" } } })]);
  if (error !== undefined) return failed("kernel-veth", reasonOf(error), missingKind("veth"));
  return getLink(netns.rtnl, master)?.index ?? 0;
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
