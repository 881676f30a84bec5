import { noArgs } from "../cni/args.ts";
import { CniError } from "../cni/error.ts";
import { parseConfigText, parseNetConf } from "../cni/net-conf.ts";
import { readNetwork } from "../cni/network-list.ts";
import type { NetworkAttachmentDefinition } from "../cluster/port.ts";
import { compile, ownOptions } from "../ipam/whereabouts/config.ts";
import { equalPrefix, type Prefix } from "../ip/prefix.ts";
import { getField } from "../json/struct.ts";
import { JsonError } from "../json/error.ts";
import { isJsonObject } from "../json/value.ts";
import { isPoolName, poolName } from "../pool/names.ts";
import { formatLayout, type SliceAllocation, type SliceLayout } from "./free-slices.ts";

/** A network whose ranges are divided among nodes (`node_slice_size`). */
export interface SlicedNetwork {
  /** Of the NodeSlicePool: `network_name`, or else the network's own. */
  readonly name: string;
  /** `network_name`; "" for none. */
  readonly networkName: string;
  /** `node_slice_size` as it is written: Go's controller divides anew what differs from it by one character. */
  readonly sliceSize: string;
  /** The first is the one that Go divides too. */
  readonly layouts: readonly [SliceLayout, ...SliceLayout[]];
  /** namespace/name of the object that says so. */
  readonly source: string;
}

/**
 * The sliced networks among network definitions, by the name of their NodeSlicePool. Definitions that share one have the same first range, and each may
 * add further ones; of two that differ in how a range is divided the first in the order of sources counts. What can't be read, and the conflict, goes to
 * `tell`. Definitions of other plugins are passed over.
 */
export function slicedNetworks(
  definitions: readonly NetworkAttachmentDefinition[],
  tell: (problem: string) => void,
): SlicedNetwork[] {
  const found = new Map<string, SlicedNetwork>();
  for (const definition of definitions.toSorted((a, b) => (sourceOf(a) < sourceOf(b) ? -1 : 1))) {
    for (const network of networksOf(definition, tell)) {
      const first = found.get(network.name);
      found.set(network.name, first === undefined ? network : joined(first, network, tell));
    }
  }
  return [...found.values()];
}

/** The IPPool of a node's slice, as whereabouts names it; a former node's is still that of its name. */
export function slicePoolName({ networkName }: SlicedNetwork, range: Prefix, { nodeName }: SliceAllocation): string {
  return poolName({ range, network: networkName, node: nodeName.replace(/~.*/, "") });
}

function networksOf(definition: NetworkAttachmentDefinition, tell: (problem: string) => void): SlicedNetwork[] {
  const source = sourceOf(definition);
  if (!definition.config.includes("node_slice_size")) return [];
  try {
    const { config: written } = parseConfigText(definition.config);
    const name = getField(written, "name");
    // Dispatchers call a network that has no name by its definition's.
    const list = readNetwork(typeof name === "string" && name !== "" ? written : { ...written, name: definition.name });
    return list.plugins.flatMap(({ config }) => {
      const ipam = getField(config, "ipam");
      if (!isJsonObject(ipam) || getField(ipam, "type") !== "whereabouts") return [];
      const own = { ...config, name: list.name, cniVersion: list.cniVersion };
      const { conf } = parseNetConf(own, "DEL");
      const options = ownOptions(conf);
      const { ranges, networkName } = compile(conf, options, noArgs);
      const [first, ...more] = ranges.flatMap(({ network: range, sliceBits, spans, isL3 }) =>
        sliceBits === undefined ? [] : { range, sliceBits, spans, isL3 },
      );
      if (first === undefined) return [];
      const size = options.node_slice_size ?? "";
      const sliceSize = typeof size === "string" ? size : `/${size}`;
      const poolsName = networkName || conf.name;
      if (isPoolName(poolsName))
        return [{ name: poolsName, networkName, sliceSize, layouts: [first, ...withoutTwins(first, more)], source }];
      tell(
        `${source}: ${JSON.stringify(poolsName)} can't be the name of a NodeSlicePool; set "network_name" in lower case`,
      );
      return [];
    });
  } catch (error) {
    if (!(error instanceof CniError) && !(error instanceof JsonError)) throw error;
    tell(`${source}: ${error.message}`);
    return [];
  }
}

/** A pod may have two addresses of one range, which is divided once. */
function withoutTwins(first: SliceLayout, more: readonly SliceLayout[]): SliceLayout[] {
  const found: SliceLayout[] = [];
  for (const layout of more)
    if (![first, ...found].some(({ range }) => equalPrefix(range, layout.range))) found.push(layout);
  return found;
}

/** With the further ranges of another definition, provided that both divide the first one alike. */
function joined(network: SlicedNetwork, other: SlicedNetwork, tell: (problem: string) => void): SlicedNetwork {
  const differs = (layout: SliceLayout, known: SliceLayout): void =>
    tell(
      `${other.source}: network ${other.name} is ${formatLayout(layout)}, and ${formatLayout(known)} in ${network.source}, which counts: ` +
        `give one of them a "network_name" of its own`,
    );
  const [first] = network.layouts;
  if (formatLayout(other.layouts[0]) !== formatLayout(first)) {
    differs(other.layouts[0], first);
    return network;
  }
  const layouts: [SliceLayout, ...SliceLayout[]] = [...network.layouts];
  for (const layout of other.layouts) {
    const known = layouts.find(({ range }) => equalPrefix(range, layout.range));
    if (known === undefined) layouts.push(layout);
    else if (known.sliceBits !== layout.sliceBits) differs(layout, known);
  }
  return { ...network, layouts };
}

function sourceOf({ namespace, name }: NetworkAttachmentDefinition): string {
  return `${namespace}/${name}`;
}
