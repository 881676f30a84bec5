import type { AttributeDecoder } from "../../netlink/attribute-decoder.ts";
import type { AttributeEncoder } from "../../netlink/attribute-encoder.ts";

/** The name that stands for `number` in a table of them; undefined for one that is unknown here. */
export function nameOf<Name extends string>(table: Readonly<Record<Name, number>>, number: number): Name | undefined {
  for (const name in table) if (table[name] === number) return name;
  return undefined;
}

/** How one kind of link (rtnl_link_ops in the kernel) writes and reads its IFLA_INFO_DATA. */
export interface Kind<Data> {
  /** Writes what is set; a field that is undefined is not sent. */
  encode(data: Data, encoder: AttributeEncoder): void;
  /** Reads what the kernel told; a field it did not send stays undefined. */
  decode(attributes: AttributeDecoder): Data;
}
