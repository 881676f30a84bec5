import { CniError, code } from "../../cni/error.ts";
import type { Netns } from "../../netns/netns.ts";
import { IptablesError, listNat } from "../filter/iptables.ts";
import { nftIfAvailable } from "../filter/nft-of.ts";
import type { PortmapConfig } from "./config.ts";

/**
 * By what the mappings of this config would be made here, and why: "nftables, since …". Throws `CniError` code 50 when nothing on this host
 * can do it. It asks for IPv4 alone; a host may well be without the other.
 */
export async function usableBackend(
  host: Netns,
  { backend, reason }: Pick<PortmapConfig, "backend" | "reason">,
): Promise<string> {
  const hasNftables = nftIfAvailable(host) !== undefined;
  if (backend === "nftables") {
    if (hasNftables) return `nftables (${reason})`;
    throw unavailable("this kernel has no nf_tables");
  }
  try {
    await listNat(host, 4);
    return `iptables (${reason})`;
  } catch (error) {
    if (!(error instanceof IptablesError)) throw error;
    // Somebody is just using it.
    if (error.code === "busy") return `iptables (${reason})`;
    if (backend === "iptables") throw unavailable(error.message);
    if (hasNftables) return `nftables, since iptables can't do it: ${error.message}`;
    throw unavailable(`${error.message}; and this kernel has no nf_tables`);
  }
}

function unavailable(reason: string): CniError {
  return new CniError(code.notAvailable, `port mappings can't be made here: ${reason}`);
}
