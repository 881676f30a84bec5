import { noArgs } from "../cni/args.ts";
import { CniError } from "../cni/error.ts";
import { parseConfigText, parseNetConf } from "../cni/net-conf.ts";
import { readNetwork } from "../cni/network-list.ts";
import type { NetworkAttachmentDefinition } from "../cluster/port.ts";
import { compile, ownOptions } from "../ipam/whereabouts/config.ts";
import { formatPrefix, type Prefix } from "../ip/prefix.ts";
import { getField } from "../json/struct.ts";
import { JsonError } from "../json/error.ts";
import { isJsonObject } from "../json/value.ts";
import { isPoolName, poolName } from "../pool/names.ts";
import { sizeOf, type Spans, spansWithin } from "../pool/spans.ts";
import type { SliceAllocation } from "./slice-plan.ts";

/** A network whose range is divided among nodes (`node_slice_size`). */
export interface SlicedNetwork {
  /** Of the NodeSlicePool: `network_name`, or else the network's own. */
  readonly name: string;
  /** `network_name`; "" for none. */
  readonly networkName: string;
  readonly range: Prefix;
  readonly sliceBits: number;
  readonly spans: Spans;
  /** namespace/name of the object that says so. */
  readonly source: string;
}

/** More held addresses than any slice is asked for. */
const most = 2n ** 40n;

/**
 * The sliced networks among network definitions, by the name of their NodeSlicePool. Of two that would share one and differ the first in the
 * order of sources counts; what can't be read, and the conflict, goes to `tell`. Definitions of other plugins are passed over.
 */
export function slicedNetworks(
  definitions: readonly NetworkAttachmentDefinition[],
  tell: (problem: string) => void,
): SlicedNetwork[] {
  const found = new Map<string, SlicedNetwork>();
  for (const definition of definitions.toSorted((a, b) => (sourceOf(a) < sourceOf(b) ? -1 : 1))) {
    for (const network of networksOf(definition, tell)) {
      const first = found.get(network.name);
      if (first === undefined) found.set(network.name, network);
      else if (layoutOf(first) !== layoutOf(network))
        tell(
          `${network.source}: network ${network.name} is ${layoutOf(network)}, and ${layoutOf(first)} in ${first.source}, which counts: ` +
            `give one of them a "network_name" of its own`,
        );
    }
  }
  return [...found.values()];
}

/** How many addresses of a slice pods may have. */
export function usableIn({ spans }: SlicedNetwork, slice: Prefix): number {
  const size = sizeOf(spansWithin(spans, slice));
  return Number(size > most ? most : size);
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
      const { sliceBits, ranges, networkName } = compile(conf, ownOptions(conf), noArgs);
      const [first, ...more] = ranges;
      if (sliceBits === undefined || first === undefined) return [];
      if (more.length > 0)
        tell(`${source}: only the first range, ${formatPrefix(first.network)}, is divided into slices`);
      const poolsName = networkName || conf.name;
      if (isPoolName(poolsName))
        return [{ name: poolsName, networkName, range: first.network, sliceBits, spans: first.spans, source }];
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

function layoutOf({ range, sliceBits }: SlicedNetwork): string {
  return `${formatPrefix(range)} in slices of /${sliceBits}`;
}

function sourceOf({ namespace, name }: NetworkAttachmentDefinition): string {
  return `${namespace}/${name}`;
}
