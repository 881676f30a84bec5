import { AttributeDecoder } from "../netlink/attribute-decoder.ts";
import type { NetlinkMessage, NetlinkRequest } from "../netlink/message.ts";
import { message } from "./batch.ts";
import * as k from "./constants.ts";
import { decodeExpressions } from "./expression-decoder.ts";
import { familyName, type Family } from "./family.ts";
import { chain, table, type Chain, type ListedRule, type Table } from "./object.ts";
import { decodeComment, decodeRuleWords, type RuleWords } from "./userdata.ts";

const nothing = new Uint8Array(0);

export function listTables(family: Family | undefined): NetlinkRequest {
  return message("list tables", k.NFT_MSG_GETTABLE, family, 0, () => undefined);
}

/**
 * The rules of a chain, of a table, or of everything. The kernel wants them named in full: asked for a table's name in all families,
 * it stops behind the first that has it (nf_tables_dump_rules() in net/netfilter/nf_tables_api.c).
 */
export function listRules(of: Table | Chain | undefined): NetlinkRequest {
  const table = of?.kind === "chain" ? of.table : of;
  return message("list rules", k.NFT_MSG_GETRULE, table?.family, 0, (encoder) => {
    if (table !== undefined) encoder.text(k.NFTA_RULE_TABLE, table.name);
    if (of?.kind === "chain") encoder.text(k.NFTA_RULE_CHAIN, of.name);
  });
}

/** The chains of all tables of a family: the kernel filters this dump by nothing else. */
export function listChains(family: Family | undefined): NetlinkRequest {
  return message("list chains", k.NFT_MSG_GETCHAIN, family, 0, () => undefined);
}

/** One chain by name. */
export function getChain(chain: Chain): NetlinkRequest {
  return message(`list chain ${chain.name}`, k.NFT_MSG_GETCHAIN, chain.table.family, 0, (encoder) => {
    encoder.text(k.NFTA_CHAIN_TABLE, chain.table.name);
    encoder.text(k.NFTA_CHAIN_NAME, chain.name);
  });
}

/** The number of the rule set's generation: it changes with every transaction of anybody in the namespace. */
export const getGeneration = message("get generation", k.NFT_MSG_GETGEN, undefined, 0, () => undefined);

export function decodeGeneration({ body }: NetlinkMessage): number {
  const attributes = new AttributeDecoder(body.subarray(k.nfgenmsgBytes));
  let generation = 0;
  while (attributes.next()) if (attributes.type === k.NFTA_GEN_ID) generation = attributes.be32();
  attributes.finish("get generation");
  return generation;
}

/** Undefined for a table of a family unknown here. */
export function decodeTable({ body }: NetlinkMessage): Table | undefined {
  const family = familyName(body[0] ?? 0);
  const attributes = new AttributeDecoder(body.subarray(k.nfgenmsgBytes));
  let name = "";
  let comment: string | undefined;
  while (attributes.next()) {
    if (attributes.type === k.NFTA_TABLE_NAME) name = attributes.text();
    if (attributes.type === k.NFTA_TABLE_USERDATA) comment = decodeComment(attributes.bytes());
  }
  attributes.finish("list tables");
  return family === undefined ? undefined : table(family, name, comment);
}

/** A chain without what makes it a base chain; undefined in a family unknown here. */
export function decodeChain({ body }: NetlinkMessage): Chain | undefined {
  const family = familyName(body[0] ?? 0);
  const attributes = new AttributeDecoder(body.subarray(k.nfgenmsgBytes));
  let tableName = "";
  let name = "";
  let comment: string | undefined;
  while (attributes.next()) {
    if (attributes.type === k.NFTA_CHAIN_TABLE) tableName = attributes.text();
    if (attributes.type === k.NFTA_CHAIN_NAME) name = attributes.text();
    if (attributes.type === k.NFTA_CHAIN_USERDATA) comment = decodeComment(attributes.bytes());
  }
  attributes.finish("list chains");
  if (family === undefined) return undefined;
  return chain(table(family, tableName), name, comment === undefined ? {} : { comment });
}

/** Undefined for a rule of a family unknown here. */
export function decodeRule({ body }: NetlinkMessage): ListedRule | undefined {
  const family = familyName(body[0] ?? 0);
  const attributes = new AttributeDecoder(body.subarray(k.nfgenmsgBytes));
  let [tableName, chainName, handle] = ["", "", 0n];
  let words: RuleWords = {};
  let expressions: Uint8Array = nothing;
  while (attributes.next()) {
    switch (attributes.type) {
      case k.NFTA_RULE_TABLE:
        tableName = attributes.text();
        break;
      case k.NFTA_RULE_CHAIN:
        chainName = attributes.text();
        break;
      case k.NFTA_RULE_HANDLE:
        handle = attributes.be64();
        break;
      case k.NFTA_RULE_EXPRESSIONS:
        // A copy: the message is in memory that the next one is read into.
        expressions = attributes.bytes().slice();
        break;
      case k.NFTA_RULE_USERDATA:
        words = decodeRuleWords(attributes.bytes());
        break;
    }
  }
  attributes.finish("list rules");
  if (family === undefined) return undefined;
  const place = chain(table(family, tableName), chainName);
  let decoded: ListedRule["expressions"] | undefined;
  return {
    kind: "listed rule",
    chain: place,
    handle,
    // Of most rules the words behind them tell already whose they are, and the expressions are most of the work.
    get expressions() {
      return (decoded ??= expressionsIn(expressions));
    },
    encoded: expressions,
    ...words,
  };
}

function expressionsIn(bytes: Uint8Array): ListedRule["expressions"] {
  const list = new AttributeDecoder(bytes);
  const expressions = decodeExpressions(list);
  list.finish("list rules");
  return expressions;
}
