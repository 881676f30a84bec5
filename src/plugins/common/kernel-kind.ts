import { CniError, code } from "../../cni/error.ts";
import { isNetlinkError } from "../../netlink/error.ts";
import type { Netns } from "../../netns/netns.ts";
import { addLink, deleteLink } from "../../rtnl/link-change.ts";
import type { LinkData } from "../../rtnl/kinds/table.ts";

/**
 * For STATUS: throws `CniError` code 50 unless the kernel can make links of that kind, which has it load the module where it may. It is
 * asked for a link without a master, which it refuses in either case: EOPNOTSUPP is the answer for a kind that it does not know.
 */
export function requireKind(netns: Netns, data: LinkData): void {
  if (!hasKind(netns, data)) throw new CniError(code.notAvailable, missingKind(data.kind));
}

/** True when the kernel knows the kind; `data` must be that of a link which can't be without a master. */
export function hasKind(netns: Netns, data: LinkData): boolean {
  const name = `ask${crypto.getRandomValues(new Uint8Array(5)).toHex()}`;
  const [error] = netns.rtnl.batch([addLink({ name, data })]);
  if (error === undefined) netns.rtnl.run(deleteLink(name));
  return !isNetlinkError(error, "EOPNOTSUPP");
}

/** Names of modules that differ from the kind's. */
const modules: Readonly<Record<string, string>> = { vlan: "8021q" };

/** What is missing on this node, and the cure. */
export function missingKind(kind: string): string {
  const module = modules[kind] ?? kind;
  return `this kernel has no ${kind}: load the module ${module} on the node (modprobe ${module}), or run a kernel that has it`;
}
