import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatIp, type Ip, parseIp } from "../ip/address.ts";
import { hostPrefix, parsePrefix } from "../ip/prefix.ts";
import { formatRange } from "../ip/range.ts";
import { excludedRange, firstFree, sizeOf, spansContain, spansOf, spansWithin } from "./spans.ts";

interface Row {
  readonly range: string;
  readonly start?: string;
  readonly end?: string;
  readonly exclude?: readonly string[];
  readonly isL3?: true;
  readonly want: string;
}

const spansFor = ({ range, start, end, exclude = [], isL3 }: Omit<Row, "want">) =>
  spansOf({
    network: parsePrefix(range)!,
    start: start === undefined ? undefined : parseIp(start),
    end: end === undefined ? undefined : parseIp(end),
    exclude: exclude.map((text) => excludedRange(parsePrefix(text) ?? hostPrefix(parseIp(text)!))),
    isL3: isL3 === true,
  });

describe("the addresses of", () => {
  const rows: readonly Row[] = [
    { range: "10.0.0.0/24", want: "10.0.0.1-10.0.0.254" },
    { range: "10.0.0.77/24", want: "10.0.0.1-10.0.0.254" },
    { range: "10.0.0.0/30", want: "10.0.0.1-10.0.0.2" },
    { range: "10.0.0.0/31", want: "" },
    { range: "10.0.0.1/32", want: "" },
    { range: "10.0.0.0/31", isL3: true, want: "10.0.0.0-10.0.0.1" },
    { range: "10.0.0.1/32", isL3: true, want: "10.0.0.1-10.0.0.1" },
    { range: "10.0.0.0/24", isL3: true, want: "10.0.0.0-10.0.0.255" },
    { range: "fd00::/126", want: "fd00::1-fd00::2" },
    { range: "fd00::/127", want: "" },
    { range: "fd00::/128", isL3: true, want: "fd00::-fd00::" },
    // Keys end in the middle of a /64.
    { range: "fd00::/64", want: "fd00::1-fd00::7fff:ffff:ffff:ffff" },
    { range: "fd00::/48", want: "fd00::1-fd00::7fff:ffff:ffff:ffff" },
    { range: "10.0.0.0/24", start: "10.0.0.10", end: "10.0.0.20", want: "10.0.0.10-10.0.0.20" },
    // Bounds outside, or the wrong way round, are passed over, as whereabouts does.
    { range: "10.0.0.0/24", start: "10.0.0.0", end: "10.0.0.255", want: "10.0.0.1-10.0.0.254" },
    { range: "10.0.0.0/24", start: "10.0.1.10", want: "10.0.0.1-10.0.0.254" },
    { range: "10.0.0.0/24", start: "10.0.0.20", end: "10.0.0.10", want: "10.0.0.20-10.0.0.254" },
    { range: "10.0.0.0/24", start: "10.0.0.5", end: "10.0.0.5", want: "10.0.0.5-10.0.0.5" },
    { range: "10.0.0.0/29", exclude: ["10.0.0.3"], want: "10.0.0.1-10.0.0.2 10.0.0.4-10.0.0.6" },
    { range: "10.0.0.0/29", exclude: ["10.0.0.0/30", "10.0.0.6/32"], want: "10.0.0.4-10.0.0.5" },
    { range: "10.0.0.0/29", exclude: ["10.0.0.0/24"], want: "" },
    {
      range: "10.0.0.0/29",
      exclude: ["10.0.0.6", "10.0.0.1", "10.0.0.3"],
      want: "10.0.0.2-10.0.0.2 10.0.0.4-10.0.0.5",
    },
    { range: "fd00::/120", exclude: ["fd00::/121", "10.0.0.0/8"], want: "fd00::80-fd00::fe" },
    // Addresses that end with .0 in the middle of a network are ordinary ones.
    { range: "10.0.0.0/23", start: "10.0.0.255", end: "10.0.1.1", want: "10.0.0.255-10.0.1.1" },
  ];
  test.each(rows)("$range from $start to $end without $exclude are $want", ({ want, ...rules }) => {
    expect(spansFor(rules).map(formatRange).join(" ")).toBe(want);
  });
});

test("the spans of a slice are what of the range lies in it", () => {
  const spans = spansFor({ range: "10.0.0.0/24", exclude: ["10.0.0.70"] });
  expect(spansWithin(spans, parsePrefix("10.0.0.64/26")!).map(formatRange)).toEqual([
    "10.0.0.64-10.0.0.69",
    "10.0.0.71-10.0.0.127",
  ]);
  expect(spansWithin(spans, parsePrefix("10.0.1.0/26")!)).toEqual([]);
});

test("the free addresses come in order, and no more than were asked for", () => {
  const spans = spansFor({ range: "10.0.0.0/29", exclude: ["10.0.0.3"] });
  const isTaken = (ip: Ip) => ["10.0.0.1", "10.0.0.4"].includes(formatIp(ip));
  expect(firstFree(spans, isTaken, 2).map(formatIp)).toEqual(["10.0.0.2", "10.0.0.5"]);
  expect(firstFree(spans, isTaken, 9).map(formatIp)).toEqual(["10.0.0.2", "10.0.0.5", "10.0.0.6"]);
});

test("of any range exactly the addresses that are not excluded are there, each once", () => {
  const host = fc.nat({ max: 255 });
  fc.assert(
    fc.property(host, host, fc.array(fc.tuple(host, fc.integer({ min: 24, max: 32 }))), (start, end, holes) => {
      const address = (n: number) => `10.0.0.${n}`;
      const exclude = holes.map(([n, bits]) => `${address(n)}/${bits}`);
      const spans = spansFor({ range: "10.0.0.0/24", start: address(start), end: address(end), exclude });
      const listed = firstFree(spans, () => false, 1000).map(formatIp);
      const first = start >= 1 && start <= 254 ? start : 1;
      const last = end >= first && end <= 254 ? end : 254;
      const want = Array.from({ length: 256 }, (_, n) => n)
        .filter((n) => n >= first && n <= last)
        .filter((n) => !holes.some(([hole, bits]) => n >> (32 - bits) === hole >> (32 - bits)))
        .map(address);
      expect(listed).toEqual(want);
      expect(sizeOf(spans)).toBe(BigInt(want.length));
      expect(want.every((text) => spansContain(spans, parseIp(text)!))).toBe(true);
    }),
  );
});
