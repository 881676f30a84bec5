// Into slices of which length ranges are divided.
import { expect, test } from "vitest";
import { parsePrefix } from "../../ip/prefix.ts";
import { sliceBitsOf, type SlicedRange } from "./slice-size.ts";

interface Row {
  readonly name: string;
  readonly range: string;
  readonly over: Partial<SlicedRange>;
  readonly want: number | undefined | RegExp;
  readonly warning?: RegExp;
}

const first = { isFirst: true };
const rows: readonly Row[] = [
  { name: "nothing said", range: "10.0.0.0/24", over: first, want: undefined },
  { name: "a prefix length", range: "10.0.0.0/24", over: { ...first, size: "/26" }, want: 26 },
  { name: "without the slash", range: "10.0.0.0/24", over: { ...first, size: "26" }, want: 26 },
  { name: "a number", range: "10.0.0.0/24", over: { ...first, size: 26 }, want: 26 },
  { name: "what Go takes for nothing", range: "10.0.0.0/24", over: { ...first, size: "" }, want: undefined },
  { name: "the range as one slice", range: "10.0.0.0/24", over: { ...first, size: "/24" }, want: 24 },
  { name: "a length of IPv6", range: "fd00::/56", over: { ...first, size: "/64" }, want: 64 },
  { name: "as many addresses of IPv6", range: "fd00::/64", over: { size: "/26" }, want: 122 },
  { name: "as many of IPv6 in a first range", range: "fd00::/64", over: { ...first, size: "/26" }, want: 122 },
  { name: "as many addresses of IPv4", range: "10.0.0.0/16", over: { size: "/120" }, want: 24 },
  { name: "a size of its own", range: "fd00::/64", over: { size: "/26", own: "/112" }, want: 112 },
  { name: "nothing said about itself", range: "fd00::/64", over: { size: "/26", own: "" }, want: 122 },
  { name: "a range that stays shared", range: "fd00::/64", over: { size: "/26", own: "none" }, want: undefined },
  {
    name: "the first range's own, when it is the same",
    range: "10.0.0.0/24",
    over: { ...first, size: "/26", own: 26 },
    want: 26,
  },
  {
    name: "a further range that is too small for the common size stays shared",
    range: "10.9.0.0/28",
    over: { size: "/26" },
    want: undefined,
    warning: /node_slice_size: \/26 does not divide 10\.9\.0\.0\/28: expected \/28 to \/32; all nodes share that range/,
  },
  {
    name: "and so does one of IPv6",
    range: "fd00::/124",
    over: { size: "/26" },
    want: undefined,
    warning: /\/26, in IPv6 \/122, does not divide fd00::\/124: expected \/124 to \/128/,
  },
  {
    name: "and one of a family with fewer addresses than a slice",
    range: "10.0.0.0/8",
    over: { size: "/64" },
    want: undefined,
    warning: /a slice of \/64 has more addresses than IPv4, and does not divide 10\.0\.0\.0\/8; all nodes share/,
  },
  {
    name: "a slice larger than the first range",
    range: "10.0.0.0/24",
    over: { ...first, size: "/20" },
    want: /^\$\.ipam\.node_slice_size: \/20 does not divide 10\.0\.0\.0\/24: expected \/24 to \/32$/,
  },
  {
    name: "a slice without any address for pods",
    range: "10.0.0.0/24",
    over: { ...first, size: "/31" },
    want: /slices of \/31 have no address for pods; "enable_l3"/,
  },
  { name: "the same with enable_l3", range: "10.0.0.0/24", over: { ...first, size: "/31", isL3: true }, want: 31 },
  {
    name: "no prefix length",
    range: "10.0.0.0/24",
    over: { ...first, size: "big" },
    want: /expected a prefix length such as/,
  },
  {
    name: "one that is too long for any family",
    range: "fd00::/64",
    over: { ...first, size: "/129" },
    want: /expected a prefix length such as/,
  },
  {
    name: "no prefix length of its own",
    range: "fd00::/64",
    over: { size: "/26", own: "small" },
    want: /^\$\.ipam\.ipRanges\[0\]\.node_slice_size: expected a prefix length/,
  },
  {
    name: "a size of its own that does not divide it",
    range: "fd00::/64",
    over: { size: "/26", own: "/60" },
    want: /ipRanges\[0\]\.node_slice_size: \/60 does not divide fd00::\/64: expected \/64 to \/128/,
  },
  {
    name: "a size of its own where nothing is divided",
    range: "fd00::/64",
    over: { own: "/112" },
    want: /ranges are divided only where "node_slice_size" stands in ipam itself too/,
  },
  {
    name: "another size for the range that Go divides",
    range: "10.0.0.0/24",
    over: { ...first, size: "/26", own: "/27" },
    want: /the first range has the size that stands in ipam itself/,
  },
];

test.each(rows)("$name", ({ range, over, want, warning }) => {
  const warnings: string[] = [];
  const work = () =>
    sliceBitsOf({
      network: parsePrefix(range) ?? expect.fail(range),
      isL3: false,
      size: undefined,
      own: undefined,
      isFirst: false,
      path: "$.ipam.ipRanges[0]",
      warn: (line) => void warnings.push(line),
      ...over,
    });
  if (want instanceof RegExp) expect(work).toThrow(want);
  else expect(work()).toBe(want);
  expect(warnings).toEqual(warning === undefined ? [] : [expect.stringMatching(warning)]);
});
