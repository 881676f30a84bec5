import { NETLINK_ROUTE } from "../netlink/constants.ts";
import type { NetlinkError } from "../netlink/error.ts";
import type { NetlinkMessage, NetlinkRequest } from "../netlink/message.ts";
import { NetlinkSocket, type Outcome } from "../netlink/socket.ts";

/**
 * The rtnetlink conversation with one network namespace: the one in which the thread was when it was opened.
 *
 * What changes the kernel is a value (`addLink(…)`, `addAddress(…)`, `addRoute(…)` make requests) and is carried out here, alone
 * or several in one send. What reads it is a function that takes the `Rtnl` (`getLink`, `listRoutes`).
 */
export class Rtnl implements Disposable {
  readonly #socket: NetlinkSocket;

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Opens it in the thread's present network namespace; `subject` names it in errors. Throws `NetlinkError`. */
  static open(subject: string): Rtnl {
    return new Rtnl(NetlinkSocket.open(NETLINK_ROUTE, subject));
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }

  /**
   * Carries out the requests, in order and in one send, and throws the first failure. The kernel works on behind a failure: put
   * together only what may happen without what comes before it.
   */
  run(...requests: readonly NetlinkRequest[]): void {
    for (const error of this.#socket.requestAll(requests)) if (error !== undefined) throw error;
  }

  /** As `run`, for callers that go on over failures: one result for each request, in order; undefined for success. */
  batch(requests: readonly NetlinkRequest[]): (NetlinkError | undefined)[] {
    return this.#socket.requestAll(requests);
  }

  /** As `batch`, with the messages that answered each request: a change and the reading back of it in one send. */
  exchange(requests: readonly NetlinkRequest[]): Outcome[] {
    return this.#socket.exchange(requests);
  }

  /** The one reply to a GET request. Throws when the object is missing. */
  get(request: NetlinkRequest): NetlinkMessage {
    return this.#socket.get(request);
  }

  /** All messages of a dump. */
  dump(request: NetlinkRequest): NetlinkMessage[] {
    return this.#socket.dump(request);
  }
}
