import * as fc from "fast-check";
import { expect, test } from "vitest";
import { addIp, equalIp, formatIp, type Ip, parseIp } from "../../ip/address.ts";
import { parsePrefix } from "../../ip/prefix.ts";
import { type Candidate, capacity, firstCandidate } from "./allocator.ts";
import { completeSet, type Range, rangeFor, type RangeSet } from "./range-set.ts";

type Row = readonly [subnet: string, rangeStart?: string, rangeEnd?: string, gateway?: string];

function setOf(...rows: readonly Row[]): RangeSet {
  const ranges = rows.map(([subnet, rangeStart = "", rangeEnd = "", gateway = ""]) => ({
    subnet: parsePrefix(subnet)!,
    rangeStart: parseIp(rangeStart),
    rangeEnd: parseIp(rangeEnd),
    gateway: parseIp(gateway),
  }));
  return completeSet({ ranges, pathOf: String });
}

/** The first `count` that are tried, all of them by default. */
function candidates(set: RangeSet, last: Ip | undefined, count = Infinity): Candidate[] {
  const tried: Candidate[] = [];
  firstCandidate(set, last, (each) => tried.push(each) === count);
  return tried;
}

const textOf = (set: RangeSet, last?: string) =>
  candidates(set, parseIp(last ?? "")).map(({ address }) => formatIp(address.ip));

const small = setOf(["192.0.2.0/29"]);
const several = setOf(["192.0.2.0/30"], ["192.0.2.8/29", "192.0.2.10", "192.0.2.11", "192.0.2.9"], ["192.0.2.64/30"]);

test.each<[string, RangeSet, string | undefined, string[]]>([
  ["from the beginning when nothing was leased yet", small, undefined, ["2", "3", "4", "5", "6"]],
  ["from behind the last one", small, "192.0.2.3", ["4", "5", "6", "2", "3"]],
  ["round from the end", small, "192.0.2.6", ["2", "3", "4", "5", "6"]],
  ["behind the gateway when that was last", small, "192.0.2.1", ["2", "3", "4", "5", "6"]],
  ["from the beginning when the last one is the broadcast address", small, "192.0.2.7", ["2", "3", "4", "5", "6"]],
  ["from the beginning when the last one is elsewhere", small, "198.51.100.3", ["2", "3", "4", "5", "6"]],
  ["from the beginning when the last one is of the other family", small, "2001:db8::3", ["2", "3", "4", "5", "6"]],
  ["over all ranges, without any gateway", several, undefined, ["2", "10", "11", "66"]],
  ["into the next range", several, "192.0.2.2", ["10", "11", "66", "2"]],
  ["from the middle of the middle range", several, "192.0.2.10", ["11", "66", "2", "10"]],
  ["from the last range into the first", several, "192.0.2.66", ["2", "10", "11", "66"]],
  ["from a start in the middle", setOf(["192.0.2.0/29", "192.0.2.4", "192.0.2.5"]), "192.0.2.4", ["5", "4"]],
  [
    "with a gateway in the middle",
    setOf(["192.0.2.0/29", "", "", "192.0.2.4"]),
    "192.0.2.3",
    ["5", "6", "1", "2", "3"],
  ],
  ["with nothing to lease", setOf(["192.0.2.0/29", "192.0.2.1", "192.0.2.1"]), undefined, []],
])("addresses are tried %s", (_, set, last, hosts) => {
  expect(textOf(set, last)).toEqual(hosts.map((host) => `192.0.2.${host}`));
  expect(capacity(set)).toBe(BigInt(hosts.length));
});

test("a candidate has the prefix length and the gateway of its own subnet", () => {
  const [first, , third] = candidates(setOf(["192.0.2.0/30"], ["10.0.0.0/8", "10.0.0.7", "10.0.0.9"]), undefined);
  expect(first).toEqual({ address: parsePrefix("192.0.2.2/30"), gateway: parseIp("192.0.2.1") });
  expect(third).toEqual({ address: parsePrefix("10.0.0.8/8"), gateway: parseIp("10.0.0.1") });
});

test("the size of a subnet costs nothing", () => {
  const set = setOf(["2001:db8::/64"]);
  const tried = candidates(set, parseIp("2001:db8::ffff:ffff:ffff:fffe"), 2);
  expect(tried.map((each) => formatIp(each.address.ip))).toEqual(["2001:db8::ffff:ffff:ffff:ffff", "2001:db8::2"]);
  expect(capacity(set)).toBe(2n ** 64n - 2n);
});

/** Up to four ranges of up to seven addresses, each in a subnet of its own; the gateway is in its range, beside it or elsewhere. */
const anySet: fc.Arbitrary<RangeSet> = fc
  .record({
    family: fc.constantFrom(4 as const, 6 as const),
    shapes: fc.array(fc.record({ start: fc.nat(7), size: fc.integer({ min: 1, max: 7 }), gateway: fc.nat(15) }), {
      minLength: 1,
      maxLength: 4,
    }),
  })
  .map(({ family, shapes }) => {
    const base = family === 4 ? parsePrefix("192.0.2.0/28")! : parsePrefix("2001:db8::/124")!;
    const [first, ...rest] = shapes.map(({ start, size, gateway }, index): Range => {
      const at = (offset: number): Ip => addIp(base.ip, BigInt(16 * index + offset))!;
      return {
        subnet: { ip: at(0), bits: base.bits },
        first: at(start),
        last: at(start + size - 1),
        gateway: at(gateway),
      };
    });
    return [first!, ...rest];
  });

/** A set and an address of it, of its surroundings, or none, that was leased last. */
const anyWalk = fc.tuple(anySet, fc.option(fc.nat(80), { nil: undefined })).map(([set, offset]) => ({
  set,
  last: offset === undefined ? undefined : addIp(set[0].subnet.ip, BigInt(offset)),
}));

test("every address of a set comes exactly once, and nothing else does", () => {
  fc.assert(
    fc.property(anyWalk, ({ set, last }) => {
      const found = candidates(set, last);
      expect(new Set(found.map(({ address }) => formatIp(address.ip))).size).toBe(found.length);
      expect(BigInt(found.length)).toBe(capacity(set));
      for (const { address, gateway } of found) {
        const range = rangeFor(set, address.ip)!;
        expect(equalIp(address.ip, range.gateway)).toBe(false);
        expect({ bits: address.bits, gateway }).toEqual({ bits: range.subnet.bits, gateway: range.gateway });
      }
    }),
  );
});

test("wherever a walk begins, the order is that of the walk from the beginning, turned", () => {
  fc.assert(
    fc.property(anyWalk, ({ set, last }) => {
      const plain = textOf(set);
      const turned = textOf(set, last && formatIp(last));
      const turn = plain.indexOf(turned[0] ?? "");
      expect(turned).toEqual(turn < 0 ? [] : [...plain.slice(turn), ...plain.slice(0, turn)]);
      if (last !== undefined && plain.includes(formatIp(last))) expect(turned.at(-1)).toBe(formatIp(last));
    }),
  );
});

test("leasing and giving back never leases an address twice, and fails exactly when all are leased", () => {
  fc.assert(
    fc.property(anySet, fc.array(fc.option(fc.nat(40), { nil: undefined }), { maxLength: 80 }), (set, moves) => {
      const leased: string[] = [];
      let last: Ip | undefined;
      for (const move of moves) {
        if (move !== undefined && leased.length > 0) {
          leased.splice(move % leased.length, 1);
          continue;
        }
        const next = firstCandidate(set, last, ({ address }) => !leased.includes(formatIp(address.ip)));
        expect(next === undefined).toBe(BigInt(leased.length) === capacity(set));
        if (next === undefined) continue;
        leased.push(formatIp(next.address.ip));
        last = next.address.ip;
      }
      expect(new Set(leased).size).toBe(leased.length);
    }),
  );
});
