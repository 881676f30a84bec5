// whereabouts' objects in kube-system, and networks that claim out of ranges which no other test uses.
import { threadId } from "node:worker_threads";
import { inWords } from "../kit/audit-log.ts";
import type { ApiSite } from "../kit/api-site.ts";
import type { Json, SitePod } from "../kit/multus-site.ts";
import { eventually } from "../kit/ipam-world.ts";
import { type ClaimScope, claimScope } from "../../src/pool/claim.ts";
import type { KubeJson } from "../kit/kube-admin.ts";

const apiVersion = "whereabouts.cni.cncf.io/v1alpha1";
const folder = `/apis/${apiVersion}/namespaces/kube-system`;
const plurals = {
  IPPool: "ippools",
  OverlappingRangeIPReservation: "overlappingrangeipreservations",
  NodeSlicePool: "nodeslicepools",
} as const;

/** Longer than a look at a pool is shared where entries decide. */
export const aMomentMs = 300;

let count = 0;

export interface WhereaboutsRange {
  /** "10.101.3": the range is 10.101.3.0/24 if nothing else is said. */
  readonly net: string;
  readonly range: string;
  readonly pool: string;
}

/** A range of this length at an address of its own. */
export function freshRange(bits = 24): WhereaboutsRange {
  const net = `10.${100 + (threadId % 100)}.${count++}`;
  return { net, range: `${net}.0/${bits}`, pool: `${net}.0-${bits}` };
}

export class WhereaboutsObjects {
  constructor(readonly site: ApiSite) {}

  /** A macvlan whose addresses are of that range. */
  config(name: string, range: string, over: Json = {}): Json {
    const ipam = { type: "whereabouts", range, data_dir: this.dataDir, ...over };
    return { ...this.site.local.macvlan(name, range), ipam };
  }

  /** The requests of polynic about objects of kube-system since the last call, by how often each was made. */
  requests(): Record<string, number> {
    const entries = this.site.audit.take("kube-system").filter(({ userAgent }) => userAgent.startsWith("polynic/"));
    return Object.fromEntries([...Map.groupBy(entries, inWords)].map(([what, all]) => [what, all.length]));
  }

  get dataDir(): string {
    return this.site.local.path("whereabouts");
  }

  /** Makes a NAD of that name. */
  async network(name: string, range: string, over: Json = {}): Promise<void> {
    await this.site.network(name, this.config(name, range, over));
  }

  async reservation(name: string): Promise<KubeJson | undefined> {
    return await this.#find("OverlappingRangeIPReservation", name);
  }

  async pool(name: string): Promise<KubeJson | undefined> {
    return await this.#find("IPPool", name);
  }

  async allocations(pool: string): Promise<Record<string, Json>> {
    const spec = (await this.pool(pool))?.["spec"] as { allocations?: Record<string, Json> } | undefined;
    return spec?.allocations ?? {};
  }

  /** What Go whereabouts would have made; with a `scope` one that has been claimed from since. */
  async makePool(
    name: string,
    range: string,
    allocations: Record<string, Json> = {},
    scope?: ClaimScope,
  ): Promise<void> {
    await this.#create("IPPool", name, { range, allocations }, scope && { annotations: claimScope(scope) });
    await this.#untilRecent(name);
  }

  /** Puts an entry into a pool; returns when the server says so from its memory too. */
  async enter(name: string, key: string, entry: Json): Promise<void> {
    const path = `${folder}/${plurals.IPPool}/${name}`;
    await this.site.admin.send("PATCH", path, { spec: { allocations: { [key]: entry } } });
    await this.#untilRecent(name, key);
  }

  async #untilRecent(name: string, ...keys: readonly string[]): Promise<void> {
    const path = `${folder}/${plurals.IPPool}/${name}?resourceVersion=0`;
    const isThere = async () => {
      const spec = (await this.site.admin.send("GET", path, undefined, [404]))["spec"];
      const { allocations } = (spec ?? {}) as { allocations?: Json };
      return allocations !== undefined && keys.every((key) => key in allocations);
    };
    if (!(await eventually(isThere, true))) throw new Error(`the server's memory has no ${name} with ${keys.join()}`);
  }

  async makeReservation(name: string, podref: string): Promise<void> {
    await this.#create("OverlappingRangeIPReservation", name, { podref, ifname: "net1" });
  }

  /** As the controller makes it: which node has which slice. */
  async makeNodeSlicePool(name: string, range: string, sliceSize: string, allocations: readonly Json[]): Promise<void> {
    await this.#create("NodeSlicePool", name, { range, sliceSize }, { status: { allocations } });
  }

  /** As Go whereabouts does: by name, whoever's it is. */
  async deleteReservation(name: string): Promise<void> {
    await this.site.admin.send("DELETE", `${folder}/${plurals.OverlappingRangeIPReservation}/${name}`, {}, [404]);
  }

  /** The names of the reservations of a range. */
  async reservations(net: string): Promise<string[]> {
    const { items } = (await this.site.admin.send(
      "GET",
      `${folder}/${plurals.OverlappingRangeIPReservation}`,
    )) as unknown as {
      items: KubeJson[];
    };
    return items.map(({ metadata }) => metadata.name ?? "").filter((name) => name.includes(`${net}.`));
  }

  /** The addresses of net1 as the pod's status has them. */
  async addresses(pod: SitePod): Promise<string[]> {
    const status = (await this.site.status(pod)) ?? [];
    return (status.find(({ interface: name }) => name === "net1")?.["ips"] ?? []) as string[];
  }

  async #create(
    kind: keyof typeof plurals,
    name: string,
    spec: Json,
    { status, annotations = {} }: { readonly status?: Json; readonly annotations?: Json } = {},
  ): Promise<void> {
    await this.site.admin.send("POST", `${folder}/${plurals[kind]}`, {
      apiVersion,
      kind,
      metadata: { name, namespace: "kube-system", annotations },
      spec,
      ...(status === undefined ? {} : { status }),
    });
  }

  async #find(kind: keyof typeof plurals, name: string): Promise<KubeJson | undefined> {
    const object = await this.site.admin.send("GET", `${folder}/${plurals[kind]}/${name}`, undefined, [404]);
    return object.kind === "Status" ? undefined : object;
  }
}
