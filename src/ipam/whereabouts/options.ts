import { routeSchema, dnsSchema } from "../../cni/result-decode.ts";
import {
  array,
  decode,
  either,
  flag,
  getField,
  type Infer,
  integer,
  optional,
  stringList,
  struct,
  text,
} from "../../json/struct.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../json/value.ts";
import { addressSchema } from "../static/config.ts";

const word = () => optional(text());
const truth = () => optional(flag());

const rangeSchema = struct({
  range: word(),
  range_start: word(),
  range_end: word(),
  exclude: optional(stringList()),
  enable_l3: truth(),
  // Ours alone.
  node_slice_size: optional(either(integer(), text())),
});

const optionsSchema = struct({
  range: word(),
  range_start: word(),
  range_end: word(),
  exclude: optional(stringList()),
  ipRanges: optional(array(rangeSchema)),
  gateway: word(),
  routes: optional(array(routeSchema)),
  dns: optional(dnsSchema),
  addresses: optional(array(addressSchema)),
  kubernetes: optional(struct({ kubeconfig: word() })),
  network_name: word(),
  enable_overlapping_ranges: truth(),
  node_slice_size: optional(either(integer(), text())),
  log_file: word(),
  log_level: word(),
  configuration_path: word(),
  enable_l3: truth(),
  exclude_gateway: truth(),
  pick_addresses: optional(stringList()),
  // Ours alone.
  coexist: truth(),
  coexist_lock: word(),
  release_delay_seconds: optional(integer({ min: 0 })),
  data_dir: word(),
  manifests: word(),
});

/** The members of `ipam`, or of the flat file; what is absent was not said. Those that change nothing here are not read. */
export type Options = Infer<typeof optionsSchema>;

/** One element of `ipRanges`, or the range that stands in `ipam` itself. */
export type RangeOptions = Infer<typeof rangeSchema>;

/** Reads options; throws `JsonError` that names the path below `path`. */
export function decodeOptions(value: JsonValue, path: string): Options {
  return decode(optionsSchema, value, path);
}

/** What whereabouts has no such option for: what a network says of it counts, though Go would take a false or a 0 for nothing said. */
const notOfGo = ["enable_l3", "exclude_gateway", "coexist", "release_delay_seconds"] as const;

/**
 * The options of the network with those of the node's flat file where the network says nothing, or what means nothing in Go: "", 0, false,
 * an empty list. As in whereabouts the file has no say in `enable_overlapping_ranges`, so that all nodes agree on it.
 */
export function mergeOptions(own: Options, file: Options): Options {
  const merged: Record<string, unknown> = { ...file };
  delete merged["enable_overlapping_ranges"];
  for (const [name, value] of Object.entries(own)) if (!isZero(value)) merged[name] = value;
  const { kubeconfig } = own.kubernetes ?? {};
  if (own.kubernetes !== undefined) merged["kubernetes"] = isZero(kubeconfig) ? file.kubernetes : own.kubernetes;
  if (own.enable_overlapping_ranges !== undefined) merged["enable_overlapping_ranges"] = own.enable_overlapping_ranges;
  for (const name of notOfGo) if (own[name] !== undefined) merged[name] = own[name];
  return merged;
}

function isZero(value: unknown): boolean {
  return (
    value === undefined ||
    value === "" ||
    value === 0 ||
    value === false ||
    (Array.isArray(value) && value.length === 0)
  );
}

/** How host-local spells what whereabouts has other words for. */
const hostLocalWords: Readonly<Record<string, string>> = {
  subnet: "range",
  rangestart: "range_start",
  rangeend: "range_end",
  ranges: "ipRanges",
  datadir: "data_dir",
  excludes: "exclude",
};

/** One line for each member of options, or of one of their `ipRanges`, that is spelt as in host-local: whereabouts passes it over without a word. */
export function misspelt(object: JsonObject, path: string): string[] {
  const lines = misspeltMembers(object, path);
  const ranges = getField(object, "ipRanges");
  if (!Array.isArray(ranges)) return lines;
  for (let index = 0; index < ranges.length; index++) {
    const range: unknown = ranges[index];
    if (isJsonObject(range)) lines.push(...misspeltMembers(range, `${path}.ipRanges[${index}]`));
  }
  return lines;
}

function misspeltMembers(object: JsonObject, path: string): string[] {
  const lines: string[] = [];
  for (const name of Object.keys(object)) {
    const meant = hostLocalWords[name.toLowerCase()];
    if (meant !== undefined) lines.push(`${path}.${name}: whereabouts has no such option; it calls it ${meant}`);
  }
  return lines;
}
