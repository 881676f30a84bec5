import { CniError, code } from "../../cni/error.ts";
import type { NetConf } from "../../cni/net-conf.ts";
import { type Ip, parseIp } from "../../ip/address.ts";
import { flag, integer, optional, stringList, struct } from "../../json/struct.ts";
import { decodeConfig } from "../common/parse.ts";

/** A gateway for each family that has one. */
export type Gateways = { readonly [Family in 4 | 6]?: Ip };

/** A sbr config. */
export interface SbrConfig {
  /** `table`: the rules lead there, and no route is moved; undefined for tables of the interface's own. */
  readonly table: number | undefined;
  /** `gateways`: instead of those that the previous result tells. */
  readonly gateways: Gateways;
  /** `addSourceHints`: the interface's subnets stay in the main table, with its addresses as the preferred source. */
  readonly keepSubnets: boolean;
}

const uint32Max = 0xffff_ffff;

/** Reads a sbr config. Throws `CniError` code 7 for what can't be. */
export function parseConfig(conf: NetConf): SbrConfig {
  const schema = struct({
    table: optional(integer({ min: 1, max: uint32Max })),
    gateways: optional(stringList(), []),
    addSourceHints: optional(flag(), false),
  });
  const raw = decodeConfig(schema, conf);
  return { table: raw.table, gateways: gatewaysOf(raw.gateways), keepSubnets: raw.addSourceHints };
}

function gatewaysOf(texts: readonly string[]): Gateways {
  if (texts.length > 2) {
    throw invalid("gateways list cannot contain more than 2 entries (one IPv4, one IPv6)");
  }
  const found: { 4?: Ip; 6?: Ip } = {};
  const named: { 4?: string; 6?: string } = {};
  for (const text of texts) {
    const ip = parseIp(text);
    if (ip === undefined) throw invalid(`invalid static gateway IP address: ${text}`);
    const other = named[ip.family];
    if (other !== undefined) {
      throw invalid(`gateways list contains multiple IPv${ip.family} addresses: ${other} and ${text}`);
    }
    found[ip.family] = ip;
    named[ip.family] = text;
  }
  return found;
}

function invalid(message: string): CniError {
  return new CniError(code.invalidConfig, message);
}
