import { explain } from "./explain.ts";

/** A pod that was left without networks, or could not be taken down, and why, in one line. */
export interface PodFailure {
  readonly namespace: string;
  readonly name: string;
  readonly error: string;
}

/** What errors say in front of the cause that a reader knows already: which plugin was called, and for which pod. */
const knownPrefixes = [/^plugin type="multus" name="[^"]*" failed \((?:add|delete)\): /, /^Multus: \[[^\]]*\]: /];

/** The failure of a pod, from what was thrown. */
export function podFailure(
  { namespace, name }: { readonly namespace: string; readonly name: string },
  error: unknown,
): PodFailure {
  return { namespace, name, error: knownPrefixes.reduce((text, prefix) => text.replace(prefix, ""), explain(error)) };
}
