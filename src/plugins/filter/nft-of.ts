import type { Netns } from "../../netns/netns.ts";
import { Nft } from "../../nft/nft.ts";

/** nf_tables of the namespace, by a socket that the namespace object keeps. Throws `NetlinkError` where it can't be opened. */
export function nftOf(host: Netns): Nft {
  return host.bound(openNft);
}

/** As `nftOf`; undefined on a kernel without nf_tables, which holds no rules to look for. */
export function nftIfAvailable(host: Netns): Nft | undefined {
  const nft = nftOf(host);
  return nft.isAvailable() ? nft : undefined;
}

function openNft(subject: string): Nft {
  return Nft.open(subject);
}
