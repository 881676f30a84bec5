// Takes chance out of results and snapshots, so that two runs of the same thing compare equal.
import { linkLocalOf } from "./snapshot.ts";

const randomName = /\bveth[0-9a-f]{8}\b/g;
// Exactly six pairs: a longer row of pairs with colons is an IPv6 address.
const mac = /(?<![0-9a-f:])[0-9a-f]{2}(?::[0-9a-f]{2}){5}(?![0-9a-f:])/g;
const constantMac = /^(?:00:00:00:00:00:00|[0-9a-f][13579bdf]:.*)$/;

export interface NormaliseOptions {
  /** Texts to replace first, such as the path of a namespace or of a temporary folder, and what to put in their place. */
  readonly names?: Readonly<Record<string, string>>;
  /** MAC addresses that the test has chosen itself: they stay. */
  readonly macs?: readonly string[];
}

/**
 * The same value with random names and addresses numbered in the order of their first appearance: `veth1234abcd` becomes `veth#1`,
 * a MAC becomes `mac#1`, the link-local address made of it `eui64(mac#1)`. What was equal before is equal after, which is why a
 * whole trace (results and snapshots) goes in as one value.
 */
export function normalise<T>(value: T, options: NormaliseOptions = {}): T {
  let text = JSON.stringify(value);
  // Longest first: one name may be the beginning of another.
  for (const [name, replacement] of Object.entries(options.names ?? {}).sort(([a], [b]) => b.length - a.length)) {
    text = text.replaceAll(JSON.stringify(name).slice(1, -1), replacement);
  }
  text = text.replace(randomName, numbered("veth"));
  const kept = new Set((options.macs ?? []).map((address) => address.toLowerCase()));
  const number = numbered("mac");
  const random = new Set((text.match(mac) ?? []).filter((address) => !constantMac.test(address) && !kept.has(address)));
  for (const address of random) {
    const placeholder = number(address);
    text = text.replaceAll(linkLocalOf(address), `eui64(${placeholder})`).replaceAll(address, placeholder);
  }
  return JSON.parse(text) as T;
}

function numbered(word: string): (name: string) => string {
  const seen = new Map<string, string>();
  return (name) => {
    const known = seen.get(name) ?? `${word}#${seen.size + 1}`;
    seen.set(name, known);
    return known;
  };
}
