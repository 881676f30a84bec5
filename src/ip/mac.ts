const byteCounts = [6, 8, 20];
const separated = /^[0-9a-f]{2}([:-][0-9a-f]{2})+$/i;
const dotted = /^[0-9a-f]{4}(\.[0-9a-f]{4})+$/i;

/**
 * Reads the hardware addresses that Go's net.ParseMAC accepts with separators: 6, 8 or 20 bytes as 02:00:5e:10:00:01,
 * 02-00-5e-10-00-01 (one kind of separator throughout) or 0200.5e10.0001, either letter case. Undefined for everything else.
 */
export function parseMac(text: string): Uint8Array | undefined {
  const isSeparated = separated.test(text) && !(text.includes(":") && text.includes("-"));
  if (!isSeparated && !dotted.test(text)) return undefined;
  const bytes = Uint8Array.fromHex(text.replaceAll(/[:.-]/g, ""));
  return byteCounts.includes(bytes.length) ? bytes : undefined;
}

/** Lower-case colon form, e.g. "02:00:5e:10:00:01"; "" for no bytes. */
export function formatMac(bytes: Uint8Array): string {
  const digits = bytes.toHex();
  let text = digits.slice(0, 2);
  for (let at = 2; at < digits.length; at += 2) text += `:${digits.slice(at, at + 2)}`;
  return text;
}
