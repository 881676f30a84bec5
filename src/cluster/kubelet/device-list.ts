/** The ids of the devices that kubelet assigned to a pod, by the name of the resource, in kubelet's order. */
export type PodDevices = ReadonlyMap<string, readonly string[]>;

/** Gathers devices over the containers of a pod: each id once per resource, where it came first. */
export class DeviceList {
  readonly #ids = new Map<string, string[]>();

  get byResource(): PodDevices {
    return this.#ids;
  }

  /** An init container's devices are given to a later container too, and containers may share a claim. */
  add(resource: string, ids: readonly string[]): void {
    const known = this.#ids.get(resource) ?? [];
    for (const id of ids) if (!known.includes(id)) known.push(id);
    this.#ids.set(resource, known);
  }
}
