import * as fc from "fast-check";
import type { Ip } from "./address.ts";

/** Any IPv4 address. */
export const anyV4: fc.Arbitrary<Ip> = fc
  .bigInt({ min: 0n, max: 2n ** 32n - 1n })
  .map((value) => ({ family: 4, value }));

/** Any IPv6 address that is not IPv4-mapped; half of them have runs of zero groups, which random numbers would never have. */
export const anyV6: fc.Arbitrary<Ip> = fc
  .array(fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 0xffffn })), { minLength: 8, maxLength: 8 })
  .map((groups) => groups.reduce((value, group) => (value << 16n) | group, 0n))
  .filter((value) => value >> 32n !== 0xffffn)
  .map((value) => ({ family: 6, value }));

/** Any address of either family. */
export const anyIp = fc.oneof(anyV4, anyV6);
