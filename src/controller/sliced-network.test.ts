// Which networks have ranges to be divided, told from their definitions.
import { expect, test } from "vitest";
import type { JsonObject } from "../json/value.ts";
import { formatLayout } from "./free-slices.ts";
import { slicedNetworks } from "./sliced-network.ts";

const definition = (name: string, ipam: JsonObject) => ({
  namespace: "default",
  name,
  config: JSON.stringify({ cniVersion: "1.0.0", type: "macvlan", ipam: { type: "whereabouts", ...ipam } }),
  annotations: {},
});
const four = { range: "10.0.0.0/24" };
const six = { range: "fd00::/64" };

interface Row {
  readonly name: string;
  readonly definitions: readonly ReturnType<typeof definition>[];
  /** By NodeSlicePool: the size as it is written, and how each range is divided. */
  readonly want: Readonly<Record<string, readonly string[]>>;
  readonly told?: readonly RegExp[];
}

const rows: readonly Row[] = [
  {
    name: "all ranges of a network are divided",
    definitions: [definition("lan", { ...four, ipRanges: [six], node_slice_size: "26" })],
    want: { lan: ["26", "10.0.0.0/24 in slices of /26", "fd00::/64 in slices of /122"] },
  },
  {
    name: "a number, which Go does not read, is written as a length",
    definitions: [definition("lan", { ipRanges: [six, four], node_slice_size: 120 })],
    want: { lan: ["/120", "fd00::/64 in slices of /120", "10.0.0.0/24 in slices of /24"] },
  },
  {
    name: "a range of which pods get two addresses is divided once, one that all nodes share is not",
    definitions: [
      definition("lan", {
        ipRanges: [four, four, { ...six, node_slice_size: "none" }],
        node_slice_size: "/26",
      }),
    ],
    want: { lan: ["/26", "10.0.0.0/24 in slices of /26"] },
  },
  {
    name: "definitions of one network have the same first range, and each may add others",
    definitions: [
      definition("b", { ...four, ipRanges: [six], network_name: "blue", node_slice_size: "/26" }),
      definition("a", { ...four, network_name: "blue", node_slice_size: "/26" }),
    ],
    want: { blue: ["/26", "10.0.0.0/24 in slices of /26", "fd00::/64 in slices of /122"] },
  },
  {
    name: "of two that divide the first range in different ways the first counts",
    definitions: [
      definition("b", { ...four, ipRanges: [six], network_name: "blue", node_slice_size: "/27" }),
      definition("a", { ...four, network_name: "blue", node_slice_size: "/26" }),
    ],
    want: { blue: ["/26", "10.0.0.0/24 in slices of /26"] },
    told: [
      /^default\/b: network blue is 10\.0\.0\.0\/24 in slices of \/27, and .* of \/26 in default\/a, which counts/,
    ],
  },
  {
    name: "of two that divide a further range in different ways the first counts",
    definitions: [
      definition("a", { ...four, ipRanges: [six], network_name: "blue", node_slice_size: "/26" }),
      definition("b", {
        ...four,
        ipRanges: [{ ...six, node_slice_size: "/112" }],
        network_name: "blue",
        node_slice_size: "/26",
      }),
    ],
    want: { blue: ["/26", "10.0.0.0/24 in slices of /26", "fd00::/64 in slices of /122"] },
    told: [/^default\/b: network blue is fd00::\/64 in slices of \/112, and .* of \/122 in default\/a, which counts/],
  },
  {
    name: "a config that can't be divided is told of, and stops no other",
    definitions: [
      definition("bad", { ...four, node_slice_size: "/20" }),
      definition("lan", { ...six, node_slice_size: "/120" }),
    ],
    want: { lan: ["/120", "fd00::/64 in slices of /120"] },
    told: [/^default\/bad: \$\.ipam\.node_slice_size: \/20 does not divide 10\.0\.0\.0\/24/],
  },
];

test.each(rows)("$name", ({ definitions, want, told = [] }) => {
  const lines: string[] = [];
  const networks = slicedNetworks(definitions, (line) => void lines.push(line));
  const found = networks.map(({ name, sliceSize, layouts }) => [name, [sliceSize, ...layouts.map(formatLayout)]]);
  expect(Object.fromEntries(found)).toEqual(want);
  expect(lines).toEqual(told.map((line) => expect.stringMatching(line) as unknown));
});
