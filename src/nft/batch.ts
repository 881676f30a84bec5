import type { AttributeEncoder } from "../netlink/attribute-encoder.ts";
import { NLM_F_APPEND, NLM_F_CREATE } from "../netlink/constants.ts";
import { request, type NetlinkRequest } from "../netlink/message.ts";
import type { Frame } from "../netlink/socket.ts";
import * as k from "./constants.ts";
import { encodeExpression } from "./expression-encoder.ts";
import { familyNumber, type Family } from "./family.ts";
import type { Chain, Hook, ListedRule, Rule, Table } from "./object.ts";
import { anonymousSetName, setTypes, type AnonymousSet, type RuleCompiler, type SetElement } from "./rule-compiler.ts";
import type { Operation } from "./transaction.ts";
import { encodeComment, encodeKeyByteOrder, encodeRuleWords, openIntervalMark } from "./userdata.ts";

/** enum nf_inet_hooks of include/uapi/linux/netfilter.h; the bridge family numbers them alike. */
const hookNumbers: Readonly<Record<Hook, number>> = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 };
const NF_DROP = 0;
const NF_ACCEPT = 1;

/**
 * The messages around a transaction. With `generation` the kernel refuses it (ERESTART) unless the rule set is still the one that was
 * read under that number.
 */
export function frame(generation?: number): Frame {
  const edge = (label: string, type: number, attributes: (encoder: AttributeEncoder) => void) =>
    request(label, type, 0, (encoder) => {
      // struct nfgenmsg; res_id says which subsystem the batch is for.
      encoder.struct(k.nfgenmsgBytes).setUint16(2, k.NFNL_SUBSYS_NFTABLES);
      attributes(encoder);
    });
  return {
    begin: edge("begin", k.NFNL_MSG_BATCH_BEGIN, (encoder) => {
      if (generation !== undefined) encoder.be32(k.NFNL_BATCH_GENID, generation);
    }),
    end: edge("commit", k.NFNL_MSG_BATCH_END, () => undefined),
  };
}

/** A message of nf_tables outside or inside a batch; no family means all of them. */
export function message(
  label: string,
  type: number,
  family: Family | undefined,
  flags: number,
  fill: (encoder: AttributeEncoder) => void,
): NetlinkRequest {
  return request(label, (k.NFNL_SUBSYS_NFTABLES << 8) | type, flags, (encoder) => {
    encoder.struct(k.nfgenmsgBytes).setUint8(0, familyNumber(family));
    fill(encoder);
  });
}

/** The messages of one operation, mostly one; a rule's own sets come before it. */
export function messagesOf(operation: Operation): NetlinkRequest[] {
  const { text } = operation;
  switch (operation.verb) {
    case "add":
      return [operation.object.kind === "table" ? addTable(text, operation.object) : addChain(text, operation.object)];
    case "append":
      return addRule(text, operation.object, operation.compiled);
    case "flush":
      return [flush(text, operation.object)];
    case "delete":
      return [remove(text, operation.object)];
  }
}

function addTable(text: string, table: Table): NetlinkRequest {
  return message(text, k.NFT_MSG_NEWTABLE, table.family, NLM_F_CREATE, (encoder) => {
    encoder.text(k.NFTA_TABLE_NAME, table.name);
    encoder.be32(k.NFTA_TABLE_FLAGS, 0);
    comment(encoder, k.NFTA_TABLE_USERDATA, table.comment);
  });
}

function addChain(text: string, chain: Chain): NetlinkRequest {
  return message(text, k.NFT_MSG_NEWCHAIN, chain.table.family, NLM_F_CREATE, (encoder) => {
    encoder.text(k.NFTA_CHAIN_TABLE, chain.table.name);
    encoder.text(k.NFTA_CHAIN_NAME, chain.name);
    const base = chain.base;
    if (base !== undefined) {
      encoder.nested(k.NFTA_CHAIN_HOOK, (hook) => {
        hook.be32(k.NFTA_HOOK_HOOKNUM, hookNumbers[base.hook]);
        // A signed number that travels as u32.
        hook.be32(k.NFTA_HOOK_PRIORITY, base.priority >>> 0);
      });
      encoder.be32(k.NFTA_CHAIN_POLICY, base.policy === "drop" ? NF_DROP : NF_ACCEPT);
      encoder.text(k.NFTA_CHAIN_TYPE, base.type);
    }
    comment(encoder, k.NFTA_CHAIN_USERDATA, chain.comment);
  });
}

function addRule(text: string, { chain, comment, tag }: Rule, compiled: RuleCompiler): NetlinkRequest[] {
  const sets = compiled.sets.flatMap((set) => addSet(text, chain.table, set));
  const rule = message(text, k.NFT_MSG_NEWRULE, chain.table.family, NLM_F_CREATE | NLM_F_APPEND, (encoder) => {
    encoder.text(k.NFTA_RULE_TABLE, chain.table.name);
    encoder.text(k.NFTA_RULE_CHAIN, chain.name);
    encoder.nested(k.NFTA_RULE_EXPRESSIONS, (list) => {
      for (const expression of compiled.expressions) encodeExpression(list, expression);
    });
    if (comment !== undefined || tag !== undefined) encoder.bytes(k.NFTA_RULE_USERDATA, encodeRuleWords(comment, tag));
  });
  return [...sets, rule];
}

function addSet(text: string, table: Table, set: AnonymousSet): NetlinkRequest[] {
  const type = setTypes[set.type];
  const create = message(text, k.NFT_MSG_NEWSET, table.family, NLM_F_CREATE, (encoder) => {
    encoder.text(k.NFTA_SET_TABLE, table.name);
    encoder.text(k.NFTA_SET_NAME, anonymousSetName);
    encoder.be32(
      k.NFTA_SET_FLAGS,
      k.NFT_SET_ANONYMOUS | k.NFT_SET_CONSTANT | (set.hasIntervals ? k.NFT_SET_INTERVAL : 0),
    );
    encoder.be32(k.NFTA_SET_KEY_TYPE, type.number);
    encoder.be32(k.NFTA_SET_KEY_LEN, type.bytes);
    encoder.be32(k.NFTA_SET_ID, set.id);
    encoder.nested(k.NFTA_SET_DESC, (description) => description.be32(k.NFTA_SET_DESC_SIZE, set.elements.length));
    encoder.bytes(k.NFTA_SET_USERDATA, encodeKeyByteOrder(type.order));
  });
  const fill = message(text, k.NFT_MSG_NEWSETELEM, table.family, NLM_F_CREATE, (encoder) => {
    encoder.text(k.NFTA_SET_ELEM_LIST_TABLE, table.name);
    encoder.text(k.NFTA_SET_ELEM_LIST_SET, anonymousSetName);
    encoder.be32(k.NFTA_SET_ELEM_LIST_SET_ID, set.id);
    encoder.nested(k.NFTA_SET_ELEM_LIST_ELEMENTS, (elements) => {
      for (const element of set.elements) addElement(elements, element);
    });
  });
  return [create, fill];
}

function addElement(elements: AttributeEncoder, { key, isEnd, isOpen }: SetElement): void {
  elements.nested(k.NFTA_LIST_ELEM, (element) => {
    if (isEnd === true) element.be32(k.NFTA_SET_ELEM_FLAGS, k.NFT_SET_ELEM_INTERVAL_END);
    element.nested(k.NFTA_SET_ELEM_KEY, (data) => data.bytes(k.NFTA_DATA_VALUE, key));
    if (isOpen === true) element.bytes(k.NFTA_SET_ELEM_USERDATA, openIntervalMark());
  });
}

/** A deletion of rules that names no handle takes all of the chain, or of the table. */
function flush(text: string, object: Table | Chain): NetlinkRequest {
  const table = object.kind === "table" ? object : object.table;
  return message(text, k.NFT_MSG_DELRULE, table.family, 0, (encoder) => {
    encoder.text(k.NFTA_RULE_TABLE, table.name);
    if (object.kind === "chain") encoder.text(k.NFTA_RULE_CHAIN, object.name);
  });
}

function remove(text: string, object: Table | Chain | ListedRule): NetlinkRequest {
  switch (object.kind) {
    case "table":
      return message(text, k.NFT_MSG_DELTABLE, object.family, 0, (encoder) => {
        encoder.text(k.NFTA_TABLE_NAME, object.name);
      });
    case "chain":
      return message(text, k.NFT_MSG_DELCHAIN, object.table.family, 0, (encoder) => {
        encoder.text(k.NFTA_CHAIN_TABLE, object.table.name);
        encoder.text(k.NFTA_CHAIN_NAME, object.name);
      });
    case "listed rule":
      return message(text, k.NFT_MSG_DELRULE, object.chain.table.family, 0, (encoder) => {
        encoder.text(k.NFTA_RULE_TABLE, object.chain.table.name);
        encoder.text(k.NFTA_RULE_CHAIN, object.chain.name);
        encoder.be64(k.NFTA_RULE_HANDLE, object.handle);
      });
  }
}

function comment(encoder: AttributeEncoder, type: number, text: string | undefined): void {
  if (text !== undefined) encoder.bytes(type, encodeComment(text));
}
