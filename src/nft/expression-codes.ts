import type { CompareOperator, MetaKey, PayloadBase, VerdictWord } from "./expression.ts";

// Numbers of include/uapi/linux/netfilter/nf_tables.h (and include/uapi/linux/netfilter.h) by the words that Expression uses.

/** enum nft_payload_bases */
export const payloadBases: Readonly<Record<PayloadBase, number>> = { link: 0, network: 1, transport: 2 };

/** enum nft_cmp_ops */
export const compareOperators: Readonly<Record<CompareOperator, number>> = {
  "==": 0,
  "!=": 1,
  "<": 2,
  "<=": 3,
  ">": 4,
  ">=": 5,
};

/** enum nft_meta_keys */
export const metaKeys: Readonly<Record<MetaKey, number>> = {
  protocol: 1,
  mark: 3,
  iifname: 6,
  oifname: 7,
  nfproto: 15,
  l4proto: 16,
};

/** NF_DROP, NF_ACCEPT and enum nft_verdicts; they travel as u32, the negative ones in two's complement. */
export const verdictCodes: Readonly<Record<VerdictWord, number>> = {
  drop: 0,
  accept: 1,
  jump: -3 >>> 0,
  goto: -4 >>> 0,
  return: -5 >>> 0,
};

/** The word of a number in one of the tables above; undefined for a number that is not there. */
export function wordOf<Word extends string>(table: Readonly<Record<Word, number>>, number: number): Word | undefined {
  return (Object.keys(table) as Word[]).find((word) => table[word] === number);
}
