import { addCached, delCached } from "../cni/cached-chain.ts";
import type { Attachment } from "../cni/chain.ts";
import type { NetworkList } from "../cni/network-list.ts";
import type { Runtime } from "../cni/plugin.ts";
import { ResultCache } from "../cni/result-cache.ts";
import type { JsonObject } from "../json/value.ts";
import { makeDirectories, symlink, unlinkIfExists, writeFile } from "../libc/file.ts";
import { silentLogger } from "../log/logger.ts";
import { Netns } from "../netns/netns.ts";
import { NetnsRef } from "../netns/ref.ts";
import { builtinNames } from "../plugins/table.ts";
import { podInterface } from "./default-conf.ts";
import { dispatcherType } from "./pod-conf.ts";
import { layout, type PlayedPod } from "./state.ts";

/** As long as kubelet lets a runtime take for a sandbox. */
const pluginTimeoutMs = 240_000;
const installedPlugins = "/opt/cni/bin";
const programMode = 0o755;

/**
 * The part of a container runtime that speaks CNI: the plugins of a configuration are executed as processes, with the environment, the
 * standard input and the cache that a runtime's libcni has for them, though most of them are this very executable.
 */
export class ContainerRuntime implements Disposable {
  readonly #runtime: Runtime;
  readonly #cache: ResultCache;
  readonly #path: readonly string[];

  /** Works in the network namespace that the thread is in now. CNI_PATH, if set, says where plugins that are not built in lie. */
  constructor(readonly root: string) {
    const { CNI_PATH = "" } = process.env;
    this.#path = [layout.bin(root), ...(CNI_PATH === "" ? [installedPlugins] : CNI_PATH.split(":"))];
    this.#cache = new ResultCache(layout.cache(root));
    this.#runtime = {
      builtin: () => undefined,
      builtinNames: () => [],
      execPlugins: new Set(),
      host: Netns.current(),
      log: silentLogger,
      delegateTimeoutMs: pluginTimeoutMs,
      environment: process.env,
    };
    linkExecutable(layout.bin(root));
  }

  /** Attaches a pod's networks. `portMappings` go to plugins that declare the capability. Throws `CniError`. */
  async add(pod: PlayedPod, list: NetworkList, portMappings: readonly JsonObject[]): Promise<void> {
    using netns = new NetnsRef(pod.netns);
    const attachment = this.#attachment(pod, netns);
    const capabilityArgs = portMappings.length > 0 ? { portMappings } : {};
    await addCached(this.#runtime, this.#cache, list, { ...attachment, capabilityArgs });
  }

  /** Detaches a pod's networks, as often as it takes. Throws `CniError`. */
  async del(pod: PlayedPod, list: NetworkList): Promise<void> {
    using netns = new NetnsRef(pod.netns);
    await delCached(this.#runtime, this.#cache, list, this.#attachment(pod, netns));
  }

  [Symbol.dispose](): void {
    this.#runtime.host[Symbol.dispose]();
  }

  #attachment({ containerId, namespace, name, uid }: PlayedPod, netns: NetnsRef): Attachment {
    const args = [
      "IgnoreUnknown=1",
      `K8S_POD_NAMESPACE=${namespace}`,
      `K8S_POD_NAME=${name}`,
      `K8S_POD_INFRA_CONTAINER_ID=${containerId}`,
      `K8S_POD_UID=${uid}`,
    ].join(";");
    return { containerId, netns, ifName: podInterface, args, path: this.#path, capabilityArgs: {} };
  }
}

/** Makes this executable found under the names of its plugins, as an installer would in /opt/cni/bin. */
function linkExecutable(folder: string): void {
  makeDirectories(folder);
  for (const type of [dispatcherType, ...builtinNames()]) {
    const path = `${folder}/${type}`;
    unlinkIfExists(path);
    if (Bun.isStandaloneExecutable) symlink(process.execPath, path);
    // Run from its sources there is no executable to link: the entry finds the plugin by the config's type.
    else writeFile(path, `#!/bin/sh\nexec '${process.execPath}' '${Bun.main}'\n`, programMode);
  }
}
