import { type CniArgs, noArgs } from "../cni/args.ts";
import { CniError, code } from "../cni/error.ts";
import { ipamTypeOf, type NetworkList, parseNetwork, type PluginEntry } from "../cni/network-list.ts";
import { formatIp } from "../ip/address.ts";
import { SystemError } from "../libc/errno.ts";
import type { Fd } from "../libc/fd.ts";
import {
  O_RDONLY,
  open,
  readDirectoryIfExists,
  readTextIfExists,
  replaceFile,
  temporaryOf,
  unlinkIfExists,
} from "../libc/file.ts";
import { isJsonObject, type JsonObject, type JsonValue, parse } from "../json/value.ts";
import { stringify } from "../json/stringify.ts";
import { getField } from "../json/struct.ts";
import { messageOf } from "../words/message.ts";
import type { Attachment } from "./attachment.ts";
import { journalPath } from "./paths.ts";
import { delegateArgs } from "./runtime-config.ts";

/** What the journal keeps of an attachment: enough to check and delete it without any other source. */
export type JournalEntry = Pick<Attachment, "name" | "ifName" | "isDefault" | "list" | "capabilityArgs" | "args"> & {
  /** The namespace that the attachment was made in; "" for an entry that Multus wrote. */
  readonly netns: string;
};

/** Whose journal it is. */
export interface JournalOwner {
  readonly containerId: string;
  /** Path of the container's namespace. */
  readonly netns: string;
  /** The runtime's name for the network that the dispatcher serves: GC of one must leave another's containers alone. */
  readonly network: string;
}

/** The journal of one container: its entries in order of attachment, or why there are none. */
export type JournalState =
  | {
      readonly kind: "present";
      readonly entries: readonly JournalEntry[];
      /** `JournalOwner.network`; "" in a journal that Multus wrote. */
      readonly network: string;
    }
  | { readonly kind: "absent" }
  | { readonly kind: "torn"; readonly reason: string };

/**
 * Writes the journal before the first attachment, so that a kill at any later moment leaves it to DEL. The file is Multus' delegate
 * cache (a JSON array with Go's member names); what only polynic needs stands under "polynic" in each element. Called under the container's
 * lock. Throws `CniError` code 5 when it can't be written.
 *
 * For a power cut it has to be on the disk as well: with `sync` it is by the time that the promise is fulfilled, which the attachments need not
 * wait for, since of them a power cut leaves nothing; it is rejected with such an error. Without `sync` it is on the disk already.
 */
export function writeJournal(
  cniDir: string,
  owner: JournalOwner,
  attachments: readonly Attachment[],
  sync?: (fd: Fd) => Promise<void>,
): Promise<void> | undefined {
  const path = journalPath(cniDir, owner.containerId);
  const entries: JsonObject[] = [];
  for (const attachment of attachments) entries.push(encodeEntry(attachment, owner));
  try {
    replaceFile(path, stringify(entries), 0o600, temporaryOf(path), sync === undefined);
    if (sync === undefined) return undefined;
    const stored = store(cniDir, open(path, O_RDONLY), sync);
    // Should something else fail first, nobody would look at it any more.
    stored.catch(() => {});
    return stored;
  } catch (cause) {
    throw notJournaled(cniDir, cause);
  }
}

async function store(cniDir: string, file: Fd, sync: (fd: Fd) => Promise<void>): Promise<void> {
  using fd = file;
  try {
    await sync(fd);
  } catch (cause) {
    throw notJournaled(cniDir, cause);
  }
}

function notJournaled(cniDir: string, cause: unknown): unknown {
  if (!(cause instanceof SystemError)) return cause;
  return new CniError(
    code.io,
    `the attachments can't be journaled: ${cause.message}`,
    `nothing is attached; cniDir ${cniDir} needs to be a writable directory with free space`,
    { cause },
  );
}

/** Forgets the container, and what a killed write left; called only after every attachment is gone. */
export function removeJournal(cniDir: string, containerId: string): void {
  const path = journalPath(cniDir, containerId);
  unlinkIfExists(temporaryOf(path));
  unlinkIfExists(path);
}

/**
 * Reads the journal of a container. `ifName` is CNI_IFNAME and `args` CNI_ARGS of the call, of which Multus' own entries keep neither.
 * Throws `SystemError` for a file that can't be read.
 */
export function readJournal(cniDir: string, containerId: string, ifName: string, args: CniArgs = noArgs): JournalState {
  const text = readTextIfExists(journalPath(cniDir, containerId));
  if (text === undefined) return { kind: "absent" };
  try {
    const { value } = parse(text);
    if (!Array.isArray(value) || value.length === 0) return { kind: "torn", reason: "expected a non-empty JSON array" };
    const items: readonly JsonValue[] = value;
    const entries: JournalEntry[] = [];
    for (const [index, item] of items.entries()) entries.push(decodeEntry(item, index, ifName, args));
    return { kind: "present", entries, network: networkOf(items[0]) };
  } catch (error) {
    return { kind: "torn", reason: messageOf(error) };
  }
}

/** The containers that have a journal, sorted. */
export function journaledContainers(cniDir: string): string[] {
  return readDirectoryIfExists(cniDir)
    .filter(({ name, kind }) => kind !== "directory" && !name.startsWith("."))
    .map(({ name }) => name);
}

function encodeEntry(attachment: Attachment, { netns, network }: JournalOwner): JsonObject {
  const { list, element } = attachment;
  const plugins: JsonObject[] = [];
  for (const plugin of list.plugins) plugins.push(summary(plugin));
  return {
    Conf: { cniVersion: list.cniVersion, name: list.name, ipam: {}, dns: {} },
    // Multus tells by the plugins here that `Bytes` is a list, and writes `Bytes` anew from this summary when it finds no version in it.
    ConfList: { cniVersion: list.cniVersion, name: list.name, plugins },
    CNINetworkConfigList: {
      Name: "",
      CNIVersion: "",
      DisableCheck: false,
      DisableGC: false,
      LoadOnlyInlinedPlugins: false,
      Plugins: null,
      Bytes: null,
    },
    Name: attachment.name,
    ...(element?.interface === undefined ? {} : { ifnameRequest: element.interface }),
    ...(element?.mac === undefined ? {} : { macRequest: element.mac }),
    ...(element?.infinibandGuid === undefined ? {} : { infinibandGUIDRequest: element.infinibandGuid }),
    ...(element?.ips === undefined ? {} : { ipRequest: element.ips }),
    ...(attachment.defaultRoute === undefined ? {} : { "default-route": attachment.defaultRoute.map(formatIp) }),
    IsFilterV4Gateway: false,
    IsFilterV6Gateway: false,
    ...(attachment.capabilityArgs["deviceID"] === undefined ? {} : { deviceID: attachment.capabilityArgs["deviceID"] }),
    ...(attachment.device === undefined ? {} : { resourceName: attachment.device.resourceName }),
    Bytes: toBase64(list.text),
    polynic: {
      ifName: attachment.ifName,
      args: attachment.args,
      capabilityArgs: attachment.capabilityArgs,
      netns,
      network,
    },
  };
}

/** The members that Go's types keep of a plugin's config. */
function summary({ type, config }: PluginEntry): JsonObject {
  const ipamType = ipamTypeOf(config);
  const capabilities = getField(config, "capabilities");
  return {
    type,
    ...(isJsonObject(capabilities) ? { capabilities } : {}),
    ipam: ipamType === "" ? {} : { type: ipamType },
    dns: {},
  };
}

function decodeEntry(item: JsonValue, index: number, ifName: string, args: CniArgs): JournalEntry {
  if (!isJsonObject(item)) throw new TypeError(`element ${index}: expected an object`);
  const isDefault = index === 0;
  const base = { name: textOf(item, "Name"), isDefault, list: decodeList(item, index) };
  const ours = getField(item, "polynic");
  if (isJsonObject(ours)) {
    const capabilities = getField(ours, "capabilityArgs");
    return {
      ...base,
      ifName: textOf(ours, "ifName"),
      args: textOf(ours, "args"),
      capabilityArgs: isJsonObject(capabilities) ? capabilities : {},
      netns: textOf(ours, "netns"),
    };
  }
  const requested = textOf(item, "ifnameRequest");
  const chosen = isDefault ? ifName : `net${index}`;
  return {
    ...base,
    ifName: requested || chosen,
    args: args.pairs.length === 0 ? "" : delegateArgs(args, undefined),
    capabilityArgs: requestedByMultus(item),
    netns: "",
  };
}

function networkOf(first: JsonValue | undefined): string {
  const ours = isJsonObject(first) ? getField(first, "polynic") : undefined;
  return isJsonObject(ours) ? textOf(ours, "network") : "";
}

/** `Bytes` is the config as it was sent at ADD; for a list that Multus read from a file, the whole list has plugins and bytes of its own. */
function decodeList(item: JsonObject, index: number): NetworkList {
  const whole = getField(item, "CNINetworkConfigList");
  const plugins = isJsonObject(whole) ? getField(whole, "Plugins") : undefined;
  if (!isJsonObject(whole) || !Array.isArray(plugins) || plugins.length === 0) {
    return parseNetwork(decodeBytes(getField(item, "Bytes"), index));
  }
  const configs = plugins.map((plugin: JsonValue) =>
    isJsonObject(plugin) ? parse(decodeBytes(getField(plugin, "Bytes"), index)).value : {},
  );
  return parseNetwork(
    stringify({ cniVersion: textOf(whole, "CNIVersion"), name: textOf(whole, "Name"), plugins: configs }),
  );
}

function requestedByMultus(item: JsonObject): JsonObject {
  const requested = {
    ips: getField(item, "ipRequest"),
    mac: getField(item, "macRequest"),
    infinibandGUID: getField(item, "infinibandGUIDRequest"),
    deviceID: getField(item, "deviceID"),
  };
  const given = Object.entries(requested).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return Object.fromEntries<JsonValue>(given as [string, JsonValue][]);
}

function decodeBytes(value: JsonValue | undefined, index: number): string {
  if (typeof value !== "string") throw new TypeError(`element ${index}: expected its config in "Bytes"`);
  return new TextDecoder().decode(Uint8Array.fromBase64(value));
}

function textOf(object: JsonObject, key: string): string {
  const value = getField(object, key);
  return typeof value === "string" ? value : "";
}

function toBase64(text: string): string {
  return new TextEncoder().encode(text).toBase64();
}
