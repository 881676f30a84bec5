import type { KubeClient } from "../../kube/client.ts";
import { lead } from "../../kube/leader.ts";
import type { Logger } from "../../log/logger.ts";
import { ClusterError } from "../port.ts";

/** The one Lease that whereabouts takes for every ADD and DEL of a cluster. */
const leaseName = "whereabouts";
/** As whereabouts has them, but for the lease, which it cuts to a whole second when it writes it. */
const times = { leaseMs: 2000, renewWithinMs: 1000, retryMs: 500 };
/** Whereabouts' own ADD is given two minutes. */
const waitMs = 60_000;

/**
 * Does the work while holding whereabouts' Lease, and gives the Lease back. Throws what the work throws, and "unavailable" when the Lease can't be
 * had in a minute.
 */
export async function underGoLease<T>(
  client: KubeClient,
  namespace: string,
  identity: string,
  log: Logger,
  work: () => Promise<T>,
): Promise<T> {
  const done = new AbortController();
  const signal = AbortSignal.any([done.signal, AbortSignal.timeout(waitMs)]);
  let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
  await lead(client, { namespace, name: leaseName, identity, signal, log, times }, async () => {
    try {
      outcome = { value: await work() };
    } catch (error) {
      outcome = { error };
    }
    done.abort();
  });
  if (outcome === undefined)
    throw new ClusterError(
      "unavailable",
      `take lease ${namespace}/${leaseName}`,
      `others have held it for ${waitMs / 1000} s`,
    );
  if ("error" in outcome) throw outcome.error;
  return outcome.value;
}
