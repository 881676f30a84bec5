import { JsonError } from "../../json/error.ts";
import { decode, type Schema } from "../../json/struct.ts";
import type { JsonObject } from "../../json/value.ts";
import { isErrno, SystemError } from "../../libc/errno.ts";
import {
  linkUnlessTaken,
  makeDirectories,
  readDirectoryIfExists,
  readTextIfExists,
  replaceFile,
  statusIfExists,
  temporaryOf,
  unlinkIfExists,
} from "../../libc/file.ts";
import type { Logger } from "../../log/logger.ts";
import { allocationOf, ownerAnnotation } from "../../pool/claim.ts";
import { isPoolName } from "../../pool/names.ts";
import {
  type IpPool,
  ipPoolOf,
  ipPoolSchema,
  type NodeSlicePool,
  nodeSlicePoolOf,
  nodeSlicePoolSchema,
  type Reservation,
  reservationOf,
  reservationSchema,
  poolApiVersion,
} from "../../pool/objects.ts";
import { lock } from "../lock.ts";
import { ClusterError } from "../port.ts";
import type { NewReservation, PoolChange, Pools, PoolsSource, ReservationFilter } from "./port.ts";

const poolsFolder = "ippools";
const reservationsFolder = "overlappingrangeipreservations";
const slicesFolder = "nodeslicepools";

/**
 * Pools as files below DIR/.state/whereabouts: each object is a JSON file under its own name. A reservation is made by linking a finished
 * file to its name, which only one of all who try can do, on whatever node they are; so several nodes may share the
 * directory over a network file system. Whatever changes or removes a file does so under one lock, so that no file is removed that has
 * taken the place of the one that was looked at.
 */
export class ManifestPools implements Pools {
  readonly hasCheapNames = true;
  readonly mayBeShared = false;
  readonly source: PoolsSource;
  readonly where: string;
  readonly #root: string;

  constructor(directory: string) {
    this.source = { manifests: directory };
    this.where = `directory ${directory}`;
    this.#root = `${directory}/.state/whereabouts`;
  }

  async getPool(name: string): Promise<IpPool | undefined> {
    return this.#guard(`get ippool ${name}`, () => this.#read(poolsFolder, name, ipPoolSchema, ipPoolOf));
  }

  /** Files have no versions, and are read as cheaply. */
  async isPoolUnchanged(): Promise<boolean> {
    return false;
  }

  async listPools(): Promise<IpPool[]> {
    return this.#guard("list ippools", () => {
      const pools: IpPool[] = [];
      for (const name of this.#names(poolsFolder)) {
        const pool = this.#read(poolsFolder, name, ipPoolSchema, ipPoolOf);
        if (pool !== undefined) pools.push(pool);
      }
      return pools;
    });
  }

  async poolNames(): Promise<string[]> {
    return this.#guard("list ippools", () => this.#names(poolsFolder));
  }

  async createPool(name: string, range: string, annotations: IpPool["annotations"] = {}): Promise<IpPool> {
    return this.#guard(`create ippool ${name}`, () => {
      const metadata = { name, uid: crypto.randomUUID(), creationTimestamp: new Date().toISOString(), annotations };
      this.#create(poolsFolder, name, {
        apiVersion: poolApiVersion,
        kind: "IPPool",
        metadata,
        spec: { range, allocations: {} },
      });
      return this.#read(poolsFolder, name, ipPoolSchema, ipPoolOf) ?? this.#missing(`create ippool ${name}`);
    });
  }

  async annotatePool({ name, uid }: IpPool, annotations: IpPool["annotations"]): Promise<boolean> {
    return this.#guard(`annotate ippool ${name}`, () => {
      using _lock = this.#lock();
      const object = this.#object(poolsFolder, name);
      const current = this.#read(poolsFolder, name, ipPoolSchema, ipPoolOf);
      if (object === undefined || current?.uid !== uid) return false;
      for (const key of Object.keys(annotations)) if (Object.hasOwn(current.annotations, key)) return false;
      const metadata = {
        ...(object["metadata"] as JsonObject),
        annotations: { ...current.annotations, ...annotations },
      };
      this.#replace(poolsFolder, name, { ...object, metadata });
      return true;
    });
  }

  async patchPool(name: string, changes: readonly PoolChange[]): Promise<boolean> {
    const operation = `patch ippool ${name}`;
    return this.#guard(operation, () => {
      using _lock = this.#lock();
      const object = this.#object(poolsFolder, name) ?? this.#missing(operation);
      const { allocations } = decode(ipPoolSchema, object).spec;
      const next: Record<string, unknown> = { ...allocations };
      for (const change of changes) {
        const current = allocationOf(next as JsonObject, change.key);
        if (change.op === "add" ? current !== undefined : current?.id !== change.id) return false;
        if (change.op === "remove") delete next[change.key];
        else next[change.key] = { ...change.entry };
      }
      this.#replace(poolsFolder, name, { ...object, spec: { ...(object["spec"] as JsonObject), allocations: next } });
      return true;
    });
  }

  async getReservation(name: string): Promise<Reservation | undefined> {
    return this.#guard(`get overlappingrangeipreservation ${name}`, () => this.#reservation(name));
  }

  async listReservations({ label }: ReservationFilter = {}): Promise<Reservation[]> {
    return this.#guard("list overlappingrangeipreservations", () => {
      const found: Reservation[] = [];
      for (const name of this.#names(reservationsFolder)) {
        const each = this.#reservation(name);
        if (each !== undefined && (label === undefined || each.labels[label[0]] === label[1])) found.push(each);
      }
      return found;
    });
  }

  async reservationNames(): Promise<string[]> {
    return this.#guard("list overlappingrangeipreservations", () => this.#names(reservationsFolder));
  }

  async createReservation(reservation: NewReservation): Promise<string | undefined> {
    const { name, owner, labels, podref, containerId, ifName } = reservation;
    return this.#guard(`create overlappingrangeipreservation ${name}`, () => {
      const uid = crypto.randomUUID();
      const annotations = { ...reservation.annotations, [ownerAnnotation]: owner };
      const metadata = { name, uid, creationTimestamp: new Date().toISOString(), labels, annotations };
      const spec = { podref, containerid: containerId, ifname: ifName };
      const object = { apiVersion: poolApiVersion, kind: "OverlappingRangeIPReservation", metadata, spec };
      return this.#create(reservationsFolder, name, object, owner) ? uid : undefined;
    });
  }

  async ownedReservation(name: string, owner: string): Promise<string | undefined> {
    return this.#guard(`get overlappingrangeipreservation ${name}`, () => {
      unlinkIfExists(this.#draft(reservationsFolder, name, owner));
      const found = this.#reservation(name);
      return found?.annotations[ownerAnnotation] === owner ? found.uid : undefined;
    });
  }

  async deleteReservation(name: string, uid: string): Promise<boolean> {
    return this.#guard(`delete overlappingrangeipreservation ${name}`, () => {
      using _lock = this.#lock();
      const found = this.#reservation(name);
      if (found?.uid !== uid) return false;
      // Left by a maker who could not remove it.
      unlinkIfExists(this.#draft(reservationsFolder, name, found.annotations[ownerAnnotation] ?? ""));
      return unlinkIfExists(this.#path(reservationsFolder, name));
    });
  }

  async annotateReservation(
    name: string,
    uid: string,
    annotations: Readonly<Record<string, string>>,
  ): Promise<boolean> {
    return this.#guard(`annotate overlappingrangeipreservation ${name}`, () => {
      using _lock = this.#lock();
      const current = this.#reservation(name);
      const object = this.#object(reservationsFolder, name);
      if (object === undefined || current?.uid !== uid) return false;
      const metadata = {
        ...(object["metadata"] as JsonObject),
        annotations: { ...current.annotations, ...annotations },
      };
      this.#replace(reservationsFolder, name, { ...object, metadata });
      return true;
    });
  }

  async underLease<T>(_identity: string, _log: Logger, work: () => Promise<T>): Promise<T> {
    return await work();
  }

  async getNodeSlicePool(name: string): Promise<NodeSlicePool | undefined> {
    return this.#guard(`get nodeslicepool ${name}`, () =>
      this.#read(slicesFolder, name, nodeSlicePoolSchema, nodeSlicePoolOf),
    );
  }

  #reservation(name: string): Reservation | undefined {
    return this.#read(reservationsFolder, name, reservationSchema, reservationOf);
  }

  #read<T, U>(folder: string, name: string, schema: Schema<T>, convert: (object: T) => U): U | undefined {
    const object = this.#object(folder, name);
    return object && convert(decode(schema, object));
  }

  #object(folder: string, name: string): JsonObject | undefined {
    const text = readTextIfExists(this.#path(folder, name));
    return text === undefined || text === "" ? undefined : (JSON.parse(text) as JsonObject);
  }

  #names(folder: string): string[] {
    const names: string[] = [];
    for (const { name } of readDirectoryIfExists(`${this.#root}/${folder}`))
      if (!name.startsWith(".") && name.endsWith(extension)) names.push(name.slice(0, -extension.length));
    return names;
  }

  /** False when the name is taken. `maker` is a name that nobody else has: the name of a process is not unique among nodes. */
  #create(folder: string, name: string, object: unknown, maker: string = crypto.randomUUID()): boolean {
    const path = this.#path(folder, name);
    const draft = this.#draft(folder, name, maker);
    const write = (): void => replaceFile(draft, encode(object), 0o644, draft, false);
    try {
      write();
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error;
      makeDirectories(`${this.#root}/${folder}`);
      write();
    }
    try {
      return linkUnlessTaken(draft, path) || (this.#removeEmpty(path) && linkUnlessTaken(draft, path));
    } finally {
      unlinkIfExists(draft);
    }
  }

  /** Only finished files are linked: one without content is what a power cut has left of one, and of the containers of its node. */
  #removeEmpty(path: string): boolean {
    if (statusIfExists(path)?.size !== 0) return false;
    using _lock = this.#lock();
    return statusIfExists(path)?.size === 0 && unlinkIfExists(path);
  }

  #draft(folder: string, name: string, maker: string): string {
    return `${this.#root}/${folder}/.${name}.${maker}.tmp`;
  }

  #replace(folder: string, name: string, object: unknown): void {
    const path = this.#path(folder, name);
    replaceFile(path, encode(object), 0o644, temporaryOf(path));
  }

  #lock() {
    makeDirectories(this.#root);
    return lock(`${this.#root}/lock`);
  }

  #path(folder: string, name: string): string {
    if (isPoolName(name)) return `${this.#root}/${folder}/${name}${extension}`;
    throw new ClusterError("invalid", `${folder} ${name}`, `${JSON.stringify(name)} is no Kubernetes name`);
  }

  #missing(operation: string): never {
    throw new ClusterError("not-found", operation, `there is none in ${this.where}`);
  }

  /** What goes wrong with files, or with what somebody wrote into them, becomes a cluster error. */
  #guard<T>(operation: string, body: () => T): T {
    try {
      return body();
    } catch (cause) {
      if (cause instanceof SystemError) {
        const hint = isErrno(cause, "EROFS", "EACCES") ? `polynic writes below ${this.#root}` : "";
        throw new ClusterError("unavailable", operation, cause.message, hint, { cause });
      }
      if (cause instanceof JsonError || cause instanceof SyntaxError)
        throw new ClusterError("invalid", operation, cause.message, `look at the files below ${this.#root}`, { cause });
      throw cause;
    }
  }
}

const extension = ".json";

function encode(object: unknown): string {
  return `${JSON.stringify(object, null, 2)}\n`;
}
