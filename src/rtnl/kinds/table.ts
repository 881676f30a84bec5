import type { AttributeDecoder } from "../../netlink/attribute-decoder.ts";
import type { AttributeEncoder } from "../../netlink/attribute-encoder.ts";
import { bridge, type Bridge } from "./bridge.ts";
import { ipvlan, type Ipvlan } from "./ipvlan.ts";
import type { Kind } from "./kind.ts";
import { macvlan, type Macvlan } from "./macvlan.ts";
import { veth, type Veth } from "./veth.ts";
import { vlan, type Vlan } from "./vlan.ts";
import { vrf, type Vrf } from "./vrf.ts";

/** What is particular to a link's kind; `kind` is the kernel's name for it. */
export type LinkData = Bridge | Ipvlan | Macvlan | Veth | Vlan | Vrf;

/** Every kind that can be made and understood: a new one is a file beside this one and a line here. */
const kinds: { readonly [Name in LinkData["kind"]]: Kind<Extract<LinkData, { readonly kind: Name }>> } = {
  bridge,
  ipvlan,
  macvlan,
  veth,
  vlan,
  vrf,
};

/** Writes the content of IFLA_INFO_DATA. */
export function encodeData(data: LinkData, encoder: AttributeEncoder): void {
  // The table's type ties each name to its own data, which the type checker loses over an index.
  (kinds[data.kind] as Kind<LinkData>).encode(data, encoder);
}

/** Reads the content of IFLA_INFO_DATA; undefined for a kind that has no entry. */
export function decodeData(kind: string, attributes: AttributeDecoder): LinkData | undefined {
  return Object.hasOwn(kinds, kind) ? kinds[kind as LinkData["kind"]].decode(attributes) : undefined;
}
