import type { Logger } from "../../log/logger.ts";
import type { Allocation, IpPool, NodeSlicePool, Reservation } from "../../pool/objects.ts";

/** A reservation to be made. */
export interface NewReservation {
  readonly name: string;
  /** Random text, by which the maker knows his object again: annotation polynic.io/owner. */
  readonly owner: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly finalizers: readonly string[];
  readonly podref: string;
  readonly containerId: string;
  readonly ifName: string;
}

/** A change of one entry of a pool, with what must hold for it. */
export type PoolChange =
  /** Only where no entry is. */
  | { readonly op: "add"; readonly key: string; readonly entry: Allocation }
  /** Only an entry with that `id`. */
  | { readonly op: "replace"; readonly key: string; readonly id: string; readonly entry: Allocation }
  /** Only an entry with that `id`. */
  | { readonly op: "remove"; readonly key: string; readonly id: string };

/** Which reservations to list; all of the namespace when empty. */
export interface ReservationFilter {
  /** Label and value. */
  readonly label?: readonly [name: string, value: string];
}

/** Where an adapter finds its objects again: a directory, or the credentials in a file ("" for a pod's service account). */
export type PoolsSource = { readonly manifests: string } | { readonly kubeconfig: string };

/** How old an answer may be: `recent` may miss what was done in the last moment, and costs a server a fraction. */
export type Age = "now" | "recent";

/**
 * The port to whatever keeps the pools: the objects of whereabouts.cni.cncf.io/v1alpha1 in one namespace. An adapter passes the contract in
 * test/kit/pools-contract.ts. Everything it throws is a `ClusterError`.
 */
export interface Pools {
  readonly source: PoolsSource;
  /** For messages: "namespace kube-system of kubeconfig /etc/…", "directory /etc/…". */
  readonly where: string;
  /** Listing the names of all reservations costs no more than reading a pool, and is newer. */
  readonly hasCheapNames: boolean;
  /** Whereabouts' Go code may work on the same objects. */
  readonly mayBeShared: boolean;

  /** Undefined when there is none of that name. */
  getPool(name: string, age?: Age): Promise<IpPool | undefined>;

  /**
   * True when the pool is still as it was when it had that `resourceVersion`, as far as can be told without reading its map: what that costs
   * does not grow with the pool. May miss what was done in the last moment.
   */
  isPoolUnchanged(name: string, resourceVersion: string): Promise<boolean>;

  listPools(): Promise<IpPool[]>;

  /** The names of all pools, at a cost that does not grow with what they hold. */
  poolNames(age?: Age): Promise<string[]>;

  /** Makes an empty pool, without records of who manages which field; gives the one that is there when somebody else was faster. */
  createPool(name: string, range: string, annotations?: Readonly<Record<string, string>>): Promise<IpPool>;

  /**
   * Adds annotations to a pool that has none of these names; false, and nothing is done, when it has one by now, is another pool, or is gone. `pool` is
   * the pool as it was read.
   */
  annotatePool(pool: IpPool, annotations: Readonly<Record<string, string>>): Promise<boolean>;

  /** All changes in one step; false, and nothing is done, when one of them does not hold. "not-found" when there is no such pool. */
  patchPool(name: string, changes: readonly PoolChange[]): Promise<boolean>;

  /** Undefined when there is none of that name. */
  getReservation(name: string): Promise<Reservation | undefined>;

  listReservations(filter?: ReservationFilter): Promise<Reservation[]>;

  /** The names of all reservations. */
  reservationNames(age?: Age): Promise<string[]>;

  /**
   * Makes the reservation and gives its uid; undefined when one of that name exists. It is made in one step: of all who try at once one
   * succeeds. After an outcome that was not heard of the object itself is asked whose it is; "unavailable" when even that fails, and then
   * the object may exist.
   */
  createReservation(reservation: NewReservation): Promise<string | undefined>;

  /**
   * The uid of the reservation if it carries that owner's text: the creation went through although its outcome was not heard, or not noted
   * down. Undefined when it did not, and then nothing of the attempt is left.
   */
  ownedReservation(name: string, owner: string): Promise<string | undefined>;

  /**
   * Deletes the reservation of that uid, with our own finalizer when it has one; false when it is gone, or another one bears the name.
   */
  deleteReservation(name: string, uid: string, hasFinalizer: boolean): Promise<boolean>;

  /** Adds annotations to the reservation of that uid; false when it is gone, or another one bears the name. */
  annotateReservation(name: string, uid: string, annotations: Readonly<Record<string, string>>): Promise<boolean>;

  /** Does the work while holding the Lease that whereabouts takes for each of its own; where no Go code runs, just does it. */
  underLease<T>(identity: string, log: Logger, work: () => Promise<T>): Promise<T>;

  /** Undefined when there is none of that name. */
  getNodeSlicePool(name: string): Promise<NodeSlicePool | undefined>;
}
