import { type Ip, parseIp } from "../../ip/address.ts";
import { containsIp, type Prefix } from "../../ip/prefix.ts";

/** The address of a network that a reservation of whereabouts is named after; undefined for any other name. */
export function addressOfName(name: string, networkName: string, network: Prefix): Ip | undefined {
  const prefix = networkName === "" ? "" : `${networkName}-`;
  if (!name.startsWith(prefix)) return undefined;
  const text = name.slice(prefix.length);
  const ip = parseIp(network.ip.family === 4 ? text : text.replaceAll("-", ":"));
  return ip !== undefined && containsIp(network, ip) ? ip : undefined;
}
