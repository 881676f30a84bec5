import type { PodFacts } from "./facts.ts";

/**
 * Whether an interface of a pod has an address, as far as the pod tells, pure: "yes" also while it has not told yet, "leaving" for a pod that is being
 * ended, which may still have it for a while.
 */
export function useOf(pod: PodFacts | undefined, ifName: string, address: string): "yes" | "leaving" | "no" {
  if (pod === undefined || pod.phase === "Succeeded" || pod.phase === "Failed") return "no";
  if (pod.isTerminating) return "leaving";
  if (pod.phase === "Running" && pod.hasSandbox === false) return "no";
  if (pod.addresses.size === 0) return "yes";
  for (const [name, addresses] of pod.addresses)
    if ((ifName === "" || name === ifName) && addresses.has(address)) return "yes";
  return "no";
}
