import { CniError, code } from "../../cni/error.ts";
import type { Call, Runtime } from "../../cni/plugin.ts";
import type { Cluster } from "../../cluster/port.ts";
import type { Pools, PoolsSource } from "../../cluster/pools/port.ts";
import type { WhereaboutsConfig } from "./config.ts";

/** How long each request may take, with everything that is tried again for it. */
const timeoutMs = 10_000;

/** What of a call a store needs. */
export interface StoreUser {
  readonly log: Call["log"];
  readonly runtime: Pick<Runtime, "environment" | "cluster">;
}

/**
 * Where the pools of a config are: in the directory that it names; where the dispatcher keeps pods and networks, if that is a directory or
 * the server that the config's kubeconfig leads to; else behind that kubeconfig. Throws `CniError` code 7 when nothing says where.
 */
export async function openStore(config: WhereaboutsConfig, call: StoreUser): Promise<Pools> {
  if (config.manifests !== "") return await openManifests(config.manifests);
  const shared = await sharedPools(call, config.kubeconfig);
  if (shared !== undefined) return shared;
  if (config.kubeconfig !== "") return await openApi(config.kubeconfig, call);
  throw new CniError(
    code.invalidConfig,
    "you have not configured the storage engine (at $.ipam.kubernetes.kubeconfig)",
    `name a kubeconfig there or in the flat file whereabouts.conf, or a directory in "manifests"`,
  );
}

/** The store that claims were made in, wherever the config points by now. */
export async function openSource(source: PoolsSource, call: StoreUser): Promise<Pools> {
  if ("manifests" in source) return await openManifests(source.manifests);
  const shared = await sharedPools(call, source.kubeconfig);
  if (shared !== undefined && "kubeconfig" in shared.source) return shared;
  return await openApi(source.kubeconfig, call);
}

async function sharedPools({ runtime }: StoreUser, kubeconfig: string): Promise<Pools | undefined> {
  const cluster = (await runtime.cluster?.()) as Cluster | undefined;
  return await cluster?.pools(kubeconfig);
}

async function openManifests(directory: string): Promise<Pools> {
  const { ManifestPools } = await import("../../cluster/pools/manifests.ts");
  return new ManifestPools(directory);
}

async function openApi(kubeconfig: string, { runtime, log }: StoreUser): Promise<Pools> {
  const { openApiPools } = await import("../../cluster/pools/api.ts");
  return openApiPools({ kubeconfig, timeoutMs, verb: runtime.environment["CNI_COMMAND"] ?? "", log });
}
