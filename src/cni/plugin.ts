import type { Logger } from "../log/logger.ts";
import type { NetnsRef } from "../netns/ref.ts";
import type { Netns } from "../netns/netns.ts";
import type { UndoScope } from "../undo/undo.ts";
import type { CniArgs } from "./args.ts";
import type { Ipam } from "./ipam.ts";
import type { NetConf, ValidAttachment } from "./net-conf.ts";
import type { Result } from "./result.ts";
import type { CniVersion, Verb } from "./version.ts";

/** What every verb is given. A plugin reads nothing else: no environment, no stdin, no clock of its own. */
export interface Call {
  readonly conf: NetConf;
  /** The namespace that the process was started in, where masters and bridges live. */
  readonly host: Netns;
  /** The IPAM plugin named in the config; its verbs do nothing when the config names none. */
  readonly ipam: Ipam;
  readonly log: Logger;
}

/** A call about one attachment: container `containerId`, interface `ifName`, namespace `netns`. */
export interface AttachmentCall extends Call {
  readonly containerId: string;
  readonly ifName: string;
  readonly args: CniArgs;
  /** The pod's namespace. ADD and CHECK may count on `netns.open()`; at DEL use `netns.openIfExists()`. */
  readonly netns: NetnsRef;
}

export interface AddCall<Config> extends AttachmentCall {
  readonly config: Config;
  /** Every step that changes the world is pushed here; the caller unwinds it when ADD throws. */
  readonly undo: UndoScope;
}

export interface DelCall<Config> extends AttachmentCall {
  /** Undefined when the config no longer parses: DEL still frees what it can find by name. */
  readonly config: Config | undefined;
}

export interface CheckCall<Config> extends AttachmentCall {
  readonly config: Config;
  readonly prevResult: Result;
}

export interface StatusCall<Config> extends Call {
  readonly config: Config;
}

export interface GcCall<Config> extends Call {
  readonly config: Config | undefined;
  /** Everything of this network that is not listed here is stale. */
  readonly valid: readonly ValidAttachment[];
}

/**
 * A CNI plugin: a pure parse and the verbs. Called by its own name (as libcni does) or by the dispatcher, it is the same object.
 * A verb that is absent succeeds and does nothing, as upstream's plugins do.
 */
export interface Plugin<Config = unknown> {
  readonly name: string;
  /** The oldest version of the specification that the plugin speaks; all of them when absent. */
  readonly since?: CniVersion;
  /** The config as typed values, or a thrown `CniError` (code 7) that names the JSON path. Touches nothing outside its argument. */
  parse(conf: NetConf, args: CniArgs, verb: Verb): Config;
  add(call: AddCall<Config>): Result | Promise<Result>;
  del(call: DelCall<Config>): void | Promise<void>;
  check?(call: CheckCall<Config>): void | Promise<void>;
  status?(call: StatusCall<Config>): void | Promise<void>;
  gc?(call: GcCall<Config>): void | Promise<void>;
}
