import { addCached, checkCached, delCached, gcCached } from "../src/cni/cached-chain.ts";
import { type Attachment, statusList } from "../src/cni/chain.ts";
import { CniError, code } from "../src/cni/error.ts";
import { netnsOverrideOf, splitPath } from "../src/cni/environment.ts";
import { loadNetwork } from "../src/cni/network-folder.ts";
import type { NetworkList } from "../src/cni/network-list.ts";
import { refuseOwnNetns } from "../src/cni/own-netns.ts";
import type { Runtime } from "../src/cni/plugin.ts";
import { printResult } from "../src/cni/print.ts";
import { ResultCache } from "../src/cni/result-cache.ts";
import { asVersion, newestVersion } from "../src/cni/version.ts";
import { isJsonObject, type JsonObject, parse } from "../src/json/value.ts";
import { NetnsRef } from "../src/netns/ref.ts";
import { getLink } from "../src/rtnl/link.ts";
import { messageOf } from "../src/words/message.ts";
import { absolute } from "./absolute.ts";
import { tellOnce } from "./call-log.ts";
import { openRuntime } from "./plugin-call.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

/** The verbs that act on one network by hand, with the arguments and the environment of cnitool. */
export type NetworkVerb = "add" | "check" | "del" | "gc" | "status";

const cniVerbs = { add: "ADD", check: "CHECK", del: "DEL", gc: "GC", status: "STATUS" } as const;
const defaultFolder = "/etc/cni/net.d";
const defaultInterface = "eth0";
const idBytes = 10;

/**
 * Runs a verb on a network of NETCONFPATH, plugins built in or from CNI_PATH, results kept where libcni keeps them. `add` prints the
 * result. `netns` may be "" for `gc` and `status`, which are not about one.
 */
export async function callNetwork(
  verb: NetworkVerb,
  network: string,
  netns: string,
  environment: Readonly<Record<string, string | undefined>>,
  terminal: Terminal,
): Promise<void> {
  await tellOnce(terminal, () => call(verb, network, netns, environment, terminal));
}

async function call(...[verb, network, netns, environment, terminal]: Parameters<typeof callNetwork>): Promise<void> {
  const list = loadNetwork(environment["NETCONFPATH"] || defaultFolder, network);
  for (const warning of list.warnings) await terminal.error(`polynic: ${warning}\n`);
  // A person who looks wants to be told what there is: which back end has the rules, and why.
  const runtime = openRuntime(environment, verb === "check" || verb === "status" ? "verbose" : "error");
  using ref = new NetnsRef(netns === "" ? "" : absolute(netns));
  const attachment = attachmentFrom(environment, ref);
  const cache = new ResultCache();
  // Plugins that are built in are called here as functions: no process of theirs looks at it.
  if (!netnsOverrideOf(environment)) refuseOwnNetns(cniVerbs[verb], ref, runtime.host);
  switch (verb) {
    case "add":
      await terminal.out(await add(runtime, cache, list, attachment));
      break;
    case "check":
      await checkCached(runtime, cache, list, asAdded(cache, list, attachment));
      break;
    case "del":
      await delCached(runtime, cache, list, attachment);
      break;
    case "gc":
      await gcCached(runtime, cache, list, attachment.path, []);
      break;
    case "status":
      await statusList(runtime, list, attachment.path);
      break;
  }
}

async function add(runtime: Runtime, cache: ResultCache, list: NetworkList, attachment: Attachment): Promise<string> {
  refuseSecond(cache, list, attachment);
  const result = await addCached(runtime, cache, list, attachment);
  return `${printResult(result, asVersion(list.cniVersion) ?? newestVersion)}\n`;
}

/**
 * Nobody repeats an ADD but by mistake, and taking back the one that then fails would take down the one that stands. A namespace of the
 * same path that was made anew has no such interface, and is attached.
 */
function refuseSecond(cache: ResultCache, list: NetworkList, attachment: Attachment): void {
  const { ifName, netns } = attachment;
  if (cache.read({ ...attachment, networkName: list.name }) === undefined) return;
  if (getLink(netns.open().rtnl, ifName) === undefined) return;
  const message = `${netns.path} is attached to network ${JSON.stringify(list.name)} already, by its interface ${ifName}`;
  throw new CniError(code.invalidConfig, `${message}; delete that first: polynic del ${list.name} ${netns.path}`);
}

/** With the arguments that `add` was given where the environment has none now: a check that knows less would miss, or find, something else. */
function asAdded(cache: ResultCache, list: NetworkList, attachment: Attachment): Attachment {
  const cached = cache.read({ ...attachment, networkName: list.name });
  if (cached === undefined) return attachment;
  return {
    ...attachment,
    args: attachment.args || cached.args,
    capabilityArgs: { ...cached.capabilityArgs, ...attachment.capabilityArgs },
  };
}

function attachmentFrom(environment: Readonly<Record<string, string | undefined>>, netns: NetnsRef): Attachment {
  const { CNI_PATH = "", CNI_ARGS = "", CAP_ARGS = "", CNI_IFNAME = "" } = environment;
  return {
    containerId: containerId(netns.path),
    ifName: CNI_IFNAME || defaultInterface,
    netns,
    args: checkedArgs(CNI_ARGS),
    path: splitPath(CNI_PATH),
    capabilityArgs: capabilityArgs(CAP_ARGS),
  };
}

/** The id that cnitool gives to a namespace, so that either can delete what the other added. */
export function containerId(netns: string): string {
  const hash = new Bun.CryptoHasher("sha512").update(netns).digest("hex");
  return `cnitool-${hash.slice(0, 2 * idBytes)}`;
}

function checkedArgs(text: string): string {
  for (const pair of text === "" ? [] : text.split(";")) {
    const [key = "", value = "", ...more] = pair.split("=");
    if (key === "" || value === "" || more.length > 0)
      throw new UsageError(`CNI_ARGS: expected KEY=VALUE pairs joined by ";", found ${JSON.stringify(pair)}`);
  }
  return text;
}

function capabilityArgs(text: string): JsonObject {
  if (text === "") return {};
  try {
    const { value } = parse(text);
    if (isJsonObject(value)) return value;
  } catch (cause) {
    throw new UsageError(`CAP_ARGS: ${messageOf(cause)}`, { cause });
  }
  throw new UsageError(`CAP_ARGS: expected a JSON object such as {"ips":["10.1.2.3/24"]}`);
}
