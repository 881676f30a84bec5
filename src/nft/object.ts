import { nameBytesMax } from "./constants.ts";
import { invalid } from "./error.ts";
import type { ListedExpression } from "./expression.ts";
import type { Family } from "./family.ts";
import type { Statement } from "./statement.ts";
import { commentProblem, tagBytesMax } from "./userdata.ts";

/** A table, by family and name. */
export interface Table {
  readonly kind: "table";
  readonly family: Family;
  readonly name: string;
  readonly comment?: string;
}

/** Where the kernel calls a base chain: netfilter hooks by nft's words. */
export type Hook = "prerouting" | "input" | "forward" | "output" | "postrouting";

/** What makes a chain a base chain. */
export interface BaseChain {
  readonly type: "filter" | "nat" | "route";
  readonly hook: Hook;
  /** Chains of one hook run from low to high; NAT has -100 for destinations and 100 for sources by convention. */
  readonly priority: number;
  /** What becomes of packets that reach its end; "accept" when absent. */
  readonly policy?: "accept" | "drop";
}

/** A chain of `table`; one without `base` runs only when a rule leads to it. */
export interface Chain {
  readonly kind: "chain";
  readonly table: Table;
  readonly name: string;
  readonly base?: BaseChain;
  readonly comment?: string;
}

/** A rule to be appended to `chain`. */
export interface Rule {
  readonly kind: "rule";
  readonly chain: Chain;
  readonly statements: readonly Statement[];
  readonly comment?: string;
  /** Kept beside the comment where nft(8) does not show it: whose the rule is, when the comment has to be somebody else's words. */
  readonly tag?: string;
}

/** A rule that is in the kernel; its handle names it for as long as it lives. */
export interface ListedRule {
  readonly kind: "listed rule";
  readonly chain: Chain;
  readonly handle: bigint;
  /** Decoded when first asked for; throws `NetlinkError` EBADMSG for what is malformed. */
  readonly expressions: readonly ListedExpression[];
  /** NFTA_RULE_EXPRESSIONS as the kernel has it, to be looked through before it is decoded. */
  readonly encoded: Uint8Array;
  readonly comment?: string;
  readonly tag?: string;
}

export function table(family: Family, name: string, comment?: string): Table {
  return { kind: "table", family, name, ...(comment === undefined ? {} : { comment }) };
}

export function chain(table: Table, name: string, more: Partial<Pick<Chain, "base" | "comment">> = {}): Chain {
  return { kind: "chain", table, name, ...more };
}

export function rule(chain: Chain, statements: readonly Statement[], comment?: string, tag?: string): Rule {
  const words = { ...(comment === undefined ? {} : { comment }), ...(tag === undefined ? {} : { tag }) };
  return { kind: "rule", chain, statements, ...words };
}

/** How commands of nft name an object: `table ip nat`, `chain ip nat POSTROUTING`, `rule ip nat POSTROUTING handle 7`. */
export function identify(object: Table | Chain | ListedRule): string {
  switch (object.kind) {
    case "table":
      return `table ${object.family} ${object.name}`;
    case "chain":
      return `chain ${object.table.family} ${object.table.name} ${object.name}`;
    case "listed rule":
      return `rule ${pathOf(object.chain)} handle ${object.handle}`;
  }
}

/** The object as the argument of nft's `add`. */
export function describe(object: Table | Chain | Rule): string {
  switch (object.kind) {
    case "table":
      return `${identify(object)}${block(commentClause(object.comment))}`;
    case "chain":
      return `${identify(object)}${block([...baseClauses(object.base), ...commentClause(object.comment)])}`;
    case "rule": {
      const words = object.statements.map((statement) => statement.print(object.chain.table.family));
      if (object.comment !== undefined) words.push(`comment "${object.comment}"`);
      return `rule ${pathOf(object.chain)} ${words.join(" ")}`;
    }
  }
}

/** Throws `NftError` "invalid" for a name or comment that the kernel or nft can't carry; `operation` is for its message. */
export function validate(object: Table | Chain | Rule | ListedRule, operation: string): void {
  for (const name of namesOf(object)) {
    const bytes = new TextEncoder().encode(name).length;
    if (bytes === 0 || bytes > nameBytesMax || name.includes("\0"))
      throw invalid(operation, `${JSON.stringify(name)} is not a name of 1 to ${nameBytesMax} bytes`);
  }
  if (object.kind === "listed rule") return;
  const problem = object.comment === undefined ? undefined : commentProblem(object.comment);
  if (problem !== undefined) throw invalid(operation, problem);
  if (object.kind !== "rule" || object.tag === undefined) return;
  const tagBytes = new TextEncoder().encode(object.tag).length;
  if (tagBytes > tagBytesMax) throw invalid(operation, `a tag of ${tagBytes} bytes exceeds ${tagBytesMax}`);
}

function namesOf(object: Table | Chain | Rule | ListedRule): string[] {
  switch (object.kind) {
    case "table":
      return [object.name];
    case "chain":
      return [object.table.name, object.name];
    case "rule":
    case "listed rule":
      return [object.chain.table.name, object.chain.name];
  }
}

function pathOf({ table, name }: Chain): string {
  return `${table.family} ${table.name} ${name}`;
}

function baseClauses(base: BaseChain | undefined): string[] {
  if (base === undefined) return [];
  return [`type ${base.type} hook ${base.hook} priority ${base.priority}`, `policy ${base.policy ?? "accept"}`];
}

function commentClause(comment: string | undefined): string[] {
  return comment === undefined ? [] : [`comment "${comment}"`];
}

function block(clauses: readonly string[]): string {
  return clauses.length === 0 ? "" : ` { ${clauses.map((clause) => `${clause};`).join(" ")} }`;
}
