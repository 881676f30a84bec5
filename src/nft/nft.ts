import { NETLINK_NETFILTER } from "../netlink/constants.ts";
import { isNetlinkError } from "../netlink/error.ts";
import type { NetlinkRequest } from "../netlink/message.ts";
import { NetlinkSocket } from "../netlink/socket.ts";
import { frame, messagesOf } from "./batch.ts";
import { NftError, refused } from "./error.ts";
import type { Family } from "./family.ts";
import * as list from "./list.ts";
import type { Chain, ListedRule, Table } from "./object.ts";
import type { Operation, Transaction } from "./transaction.ts";

/** Others may change the rule set between our reading and writing; with kube-proxy at work that is common, this often in a row is not. */
const updateAttemptsMax = 50;
/** What the begin of a batch is answered with when its generation has passed (net/netfilter/nfnetlink.c). */
const ERESTART = 85;

/**
 * nf_tables of one network namespace: reads it and runs transactions. It stays bound to the namespace in which the thread was when it
 * was opened. Every failure is an `NftError`, or a `NetlinkError` where the conversation itself broke down. Needs no nft(8).
 *
 * Keep it open as long as there may be work: closing any netfilter socket, at a process's end too, waits until what was deleted or
 * changed in the namespace has been freed, an RCU grace period of 5 to 20 ms (nft_rcv_nl_event() in net/netfilter/nf_tables_api.c).
 * Transactions that only add, and reading, leave nothing to wait for.
 */
export class Nft implements Disposable {
  readonly #socket: NetlinkSocket;

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Opens a socket in the thread's network namespace; `subject` names it in errors. */
  static open(subject: string): Nft {
    return new Nft(NetlinkSocket.open(NETLINK_NETFILTER, subject));
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }

  /** False on a kernel without nf_tables: everything else here would fail. Throws when the answer is neither yes nor no. */
  isAvailable(): boolean {
    try {
      this.#generation();
      return true;
    } catch (error) {
      // What nfnetlink says of a subsystem that it does not have, and netlink of a protocol that nobody speaks.
      if (isNetlinkError(error, "EINVAL", "EOPNOTSUPP", "EPROTONOSUPPORT", "ECONNREFUSED")) return false;
      throw error;
    }
  }

  /** Runs a transaction; nothing of it remains when this throws. An empty one does nothing. */
  run(transaction: Transaction): void {
    this.#run(transaction);
  }

  /**
   * Reads and changes without anybody in between: `plan` reads through this object and answers with what to do, and is asked again
   * when the rule set changed before that could be done. Throws `NftError` EAGAIN after 50 such collisions.
   */
  update(plan: () => Transaction): void {
    for (let attempt = 0; attempt < updateAttemptsMax; attempt++) {
      const generation = this.#generation();
      const transaction = this.#plan(plan);
      if (transaction !== undefined && this.#run(transaction, generation)) return;
    }
    throw new NftError(
      "EAGAIN",
      "update",
      `nft: the rule set changed ${updateAttemptsMax} times while it was being updated`,
    );
  }

  /** The tables of a family, or of all; none gives []. */
  tables(family?: Family): Table[] {
    return known(this.#socket.dump(list.listTables(family)).map(list.decodeTable));
  }

  /** The chains of a table; a missing table has none. */
  chains(table: Table): Chain[] {
    const all = known(this.#socket.dump(list.listChains(table.family)).map(list.decodeChain));
    return all.filter((chain) => chain.table.name === table.name);
  }

  hasChain(chain: Chain): boolean {
    try {
      this.#socket.get(list.getChain(chain));
      return true;
    } catch (error) {
      if (isNetlinkError(error, "ENOENT")) return false;
      throw error;
    }
  }

  /** The rules of a chain, of a table or, of nothing in particular, of all; in order within a chain. What is missing has none. */
  rules(of?: Table | Chain): ListedRule[] {
    return known(this.#socket.dump(list.listRules(of)).map(list.decodeRule));
  }

  /** Undefined when lists could not be read to their end, since the rule set kept changing. */
  #plan(plan: () => Transaction): Transaction | undefined {
    try {
      return plan();
    } catch (error) {
      if (isNetlinkError(error, "EINTR")) return undefined;
      throw error;
    }
  }

  #generation(): number {
    return list.decodeGeneration(this.#socket.get(list.getGeneration));
  }

  /** False when the rule set is not that generation any more. */
  #run(transaction: Transaction, generation?: number): boolean {
    if (transaction.fault !== undefined) throw transaction.fault;
    const steps = transaction.operations.flatMap((operation) =>
      messagesOf(operation).map((request): Step => ({ operation, request })),
    );
    if (steps.length === 0) return true;
    const requests = steps.map((step) => step.request);
    let errors;
    try {
      errors = this.#socket.requestAll(requests, frame(generation));
    } catch (error) {
      // The begin and the end of a batch speak for all of it.
      if (isNetlinkError(error) && error.errno === ERESTART) return false;
      if (isNetlinkError(error)) throw refused("transaction", error);
      throw error;
    }
    // The first refusal is the cause; what follows may fail only for lack of what came before.
    const failed = errors.findIndex((error) => error !== undefined);
    const error = errors[failed];
    if (error !== undefined) throw refused(steps[failed]?.operation.text ?? "", error);
    return true;
  }
}

interface Step {
  readonly operation: Operation;
  readonly request: NetlinkRequest;
}

function known<T>(decoded: readonly (T | undefined)[]): T[] {
  return decoded.filter((one) => one !== undefined);
}
