import type { AttributeDecoder } from "../../netlink/attribute-decoder.ts";
import type { AttributeEncoder } from "../../netlink/attribute-encoder.ts";

/** How one kind of link (rtnl_link_ops in the kernel) writes and reads its IFLA_INFO_DATA. */
export interface Kind<Data> {
  /** Writes what is set; a field that is undefined is not sent. */
  encode(data: Data, encoder: AttributeEncoder): void;
  /** Reads what the kernel told; a field it did not send stays undefined. */
  decode(attributes: AttributeDecoder): Data;
}
