import { NftError } from "./error.ts";
import { describe, identify, validate, type Chain, type ListedRule, type Rule, type Table } from "./object.ts";
import { RuleCompiler } from "./rule-compiler.ts";

/** One step of a transaction; `text` is its line in nft's language. */
export type Operation =
  | { readonly verb: "add"; readonly object: Table | Chain; readonly text: string }
  | { readonly verb: "append"; readonly object: Rule; readonly text: string; readonly compiled: RuleCompiler }
  | { readonly verb: "flush"; readonly object: Table | Chain; readonly text: string }
  | { readonly verb: "delete"; readonly object: Table | Chain | ListedRule; readonly text: string };

/**
 * Changes of nf_tables that happen together or not at all: a value that is collected, printed, and run by `Nft`. The first thing
 * that can't be is kept as `fault`, and whatever is collected after it is ignored; `Nft.run` throws it. So the code that builds a
 * transaction has no errors to handle.
 */
export class Transaction {
  readonly #operations: Operation[] = [];
  #fault: NftError | undefined;
  #setIds = 0;

  /** What was collected, in order. */
  get operations(): readonly Operation[] {
    return this.#operations;
  }

  get isEmpty(): boolean {
    return this.#operations.length === 0 && this.#fault === undefined;
  }

  /** Why this transaction can't be run; undefined while all is well. */
  get fault(): NftError | undefined {
    return this.#fault;
  }

  /**
   * Adds an object. A table or chain that is there already is left as it is, comment included; a chain that is there with another
   * type, hook or priority fails the transaction (EEXIST or EOPNOTSUPP, by kernel version). A rule is appended to its chain, as often as it is added.
   */
  add(object: Table | Chain | Rule): this {
    const text = `add ${describe(object)}`;
    return this.#collect(text, object, () => {
      if (object.kind !== "rule") return { verb: "add", object, text };
      const compiled = new RuleCompiler(object.chain.table.family, text, () => (this.#setIds += 1));
      for (const statement of object.statements) statement.compile(compiled);
      return { verb: "append", object, text, compiled };
    });
  }

  /** Deletes all rules of the chain, or of all chains of the table. One that is missing fails the transaction (ENOENT). */
  flush(object: Table | Chain): this {
    const text = `flush ${identify(object)}`;
    return this.#collect(text, object, () => ({ verb: "flush", object, text }));
  }

  /**
   * Deletes an object, a table with all that is in it. One that is missing fails the transaction (ENOENT), as does a chain that
   * still has rules or that a rule leads to (EBUSY).
   */
  delete(object: Table | Chain | ListedRule): this {
    const text = `delete ${identify(object)}`;
    return this.#collect(text, object, () => ({ verb: "delete", object, text }));
  }

  /** One line for each operation, which `nft -f -` reads as the same transaction. "" when there is none. */
  toString(): string {
    return this.#operations.map((operation) => operation.text).join("\n");
  }

  #collect(text: string, object: Table | Chain | Rule | ListedRule, make: () => Operation): this {
    if (this.#fault !== undefined) return this;
    try {
      validate(object, text);
      this.#operations.push(make());
    } catch (error) {
      if (!(error instanceof NftError)) throw error;
      this.#fault = error;
    }
    return this;
  }
}
