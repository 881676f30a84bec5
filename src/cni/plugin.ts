import type { Fd } from "../libc/fd.ts";
import type { Logger } from "../log/logger.ts";
import type { NetnsRef } from "../netns/ref.ts";
import type { Netns } from "../netns/netns.ts";
import type { UndoScope } from "../undo/undo.ts";
import type { CniArgs } from "./args.ts";
import type { Environment } from "./environment.ts";
import type { Ipam } from "./ipam.ts";
import type { NetConf, ValidAttachment } from "./net-conf.ts";
import type { Result } from "./result.ts";
import type { CniVersion, Verb } from "./version.ts";

/** What all plugin calls of one process share. */
export interface Runtime {
  /** The built-in plugin or IPAM plugin of that name; undefined when polynic has none. */
  readonly builtin: (type: string) => Promise<Plugin> | undefined;
  /** All names that `builtin` knows, in no particular order. */
  readonly builtinNames: () => readonly string[];
  /** Types that must be executed from CNI_PATH although a built-in of that name exists (config key `execPlugins`). */
  readonly execPlugins: ReadonlySet<string>;
  readonly host: Netns;
  readonly log: Logger;
  /** How long a foreign plugin may run before its process group is killed. */
  readonly delegateTimeoutMs: number;
  /**
   * Where the dispatcher keeps pods and networks (a `Cluster` of src/cluster, which this storey does not know), for plugins that keep
   * something there as well; undefined when it keeps none. Absent for a plugin that was called by its own name.
   */
  readonly cluster?: () => Promise<unknown>;
  /** Of the pod that the dispatcher attaches; absent when it does not know any. */
  readonly podAnnotations?: Readonly<Record<string, string>>;
  /** Told the process id of each executable that is started, and undefined when it has ended. */
  readonly onChild?: (pid: number | undefined) => void;
  /**
   * Has something done that nobody waits for, once the call's answer is out: for what the process goes on with. It never rejects. Absent where the
   * process ends with the call.
   */
  readonly afterwards?: (work: () => Promise<void>) => void;
  /** fdatasync(2) beside what else the process does, rejected with a `SystemError`. Absent where there is no thread for it. */
  readonly sync?: (fd: Fd) => Promise<void>;
  /** This process's environment, of which a foreign plugin is given the few variables that `foreign.ts` lists. */
  readonly environment: Environment;
}

/** What every verb is given. A plugin reads nothing else: no environment, no stdin, no clock of its own. */
export interface Call {
  readonly conf: NetConf;
  /** The namespace that the process was started in, where masters and bridges live. */
  readonly host: Netns;
  /** The IPAM plugin named in the config; its verbs do nothing when the config names none. */
  readonly ipam: Ipam;
  readonly log: Logger;
  /** For the dispatcher, whose work is to call other plugins; no other plugin looks at it. */
  readonly runtime: Runtime;
  /** CNI_PATH, in order; for the dispatcher too. */
  readonly path: readonly string[];
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

/** What a plugin has to say of its config before anything is done, in lines that name the JSON path and the cure. */
export interface ConfigReview {
  /** Why every ADD would fail; "" when none need do so. */
  readonly refusal: string;
  /** What it would log. */
  readonly warnings: readonly string[];
}

/**
 * A CNI plugin: a pure parse and the verbs. Called by its own name (as libcni does) or by the dispatcher, it is the same object.
 * A verb that is absent succeeds and does nothing, as upstream's plugins do.
 */
export interface Plugin<Config = unknown> {
  readonly name: string;
  /** The oldest version of the specification that the plugin speaks; all of them when absent. */
  readonly since?: CniVersion;
  /**
   * ADD makes the link CNI_IFNAME, and DEL of the plugin and of anything chained behind it does well without the link: the dispatcher may
   * delete the links of all a pod's attachments in one request beforehand. Absent for a device that is moved, not made.
   */
  readonly ownsLink?: true;
  /** Gives out addresses for the plugin whose `ipam.type` names it. Any other plugin there would call itself for ever. */
  readonly isIpam?: true;
  /**
   * The plugin remembers the results of its ADDs itself, as the dispatcher does: its CHECK is called without a prevResult too, and is
   * given the empty result then. All others need one.
   */
  readonly remembersResults?: true;
  /** The config as typed values, or a thrown `CniError` (code 7) that names the JSON path. Touches nothing outside its argument. */
  parse(conf: NetConf, args: CniArgs, verb: Verb): Config;
  /** What is to be said of a config that `parse` takes, for those who plan and call nothing. Touches nothing. */
  review?(config: Config): ConfigReview;
  add(call: AddCall<Config>): Result | Promise<Result>;
  del(call: DelCall<Config>): void | Promise<void>;
  check?(call: CheckCall<Config>): void | Promise<void>;
  status?(call: StatusCall<Config>): void | Promise<void>;
  gc?(call: GcCall<Config>): void | Promise<void>;
}
