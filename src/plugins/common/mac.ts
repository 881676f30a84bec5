import { argument, type CniArgs } from "../../cni/args.ts";
import { CniError, code } from "../../cni/error.ts";
import type { NetConf } from "../../cni/net-conf.ts";
import { formatMac, parseMac } from "../../ip/mac.ts";
import { getField } from "../../json/struct.ts";
import { isJsonObject } from "../../json/value.ts";

/** A MAC that somebody may have asked for, and where: "$.mac", "CNI_ARGS MAC". Undefined and "" mean that it was not. */
export interface MacWish {
  readonly where: string;
  readonly text: string | undefined;
}

const ethernetBytes = 6;

/**
 * The wish that counts: the last of `wishes` that is not empty, so callers list them in rising precedence. Undefined when there is
 * none. Throws `CniError` code 7 when that one is no address that an Ethernet device can have (the kernel would only say
 * "cannot assign requested address"); those it overrides are not looked at, as upstream has it.
 */
export function chooseMac(wishes: readonly MacWish[]): Uint8Array | undefined {
  let wish: MacWish | undefined;
  for (const each of wishes) if (each.text !== undefined && each.text !== "") wish = each;
  if (wish?.text === undefined) return undefined;
  const mac = parseMac(wish.text);
  const problem = mac === undefined ? "expected six bytes in hexadecimal such as 02:00:5e:10:00:01" : flawOf(mac);
  if (mac !== undefined && problem === undefined) return mac;
  throw new CniError(
    code.invalidConfig,
    `invalid args ${wish.text} for MAC addr: address ${wish.text}: invalid MAC address; ${wish.where}: ${problem}`,
  );
}

/**
 * The MAC that the runtime asks for, in `runtimeConfig.mac` or CNI_ARGS, for a kind of link that can't be given one; undefined when it does
 * not. It is not looked at any closer: upstream's plugins of those kinds don't read it at all.
 */
export function requestedMac({ raw }: NetConf, args: CniArgs): string | undefined {
  const runtime = getField(raw, "runtimeConfig");
  const mac = (isJsonObject(runtime) ? getField(runtime, "mac") : undefined) ?? argument(args, "MAC");
  return typeof mac === "string" && mac !== "" ? mac : undefined;
}

/** True when both texts are the same address, whatever their letter case and separators. */
export function equalMac(a: string, b: string): boolean {
  return normal(a) === normal(b);
}

function normal(text: string): string {
  const mac = parseMac(text);
  return mac === undefined ? text.toLowerCase() : formatMac(mac);
}

/** As is_valid_ether_addr() in include/linux/etherdevice.h. */
function flawOf(mac: Uint8Array): string | undefined {
  if (mac.length !== ethernetBytes) return `expected six bytes for an Ethernet device, found ${mac.length}`;
  if (mac.every((byte) => byte === 0)) return "all zeros is no address of a device";
  const first = mac[0] ?? 0;
  if ((first & 1) === 0) return undefined;
  const fixed = Uint8Array.from(mac).fill(first & ~1, 0, 1);
  return `a multicast address can't be a device's own: the first byte must be even, as in ${formatMac(fixed)}`;
}
