import type { CniArgs } from "../../cni/args.ts";
import { CniError, code } from "../../cni/error.ts";
import type { NetConf } from "../../cni/net-conf.ts";
import type { Dns, Result } from "../../cni/result.ts";
import type { Verb } from "../../cni/version.ts";
import { flag, integer, optional, struct, text } from "../../json/struct.ts";
import { requireIpamKey } from "../common/address-source.ts";
import { dnsSchema } from "../common/dns.ts";
import { requestedMac } from "../common/mac.ts";
import { decodeConfig } from "../common/parse.ts";

/** What `mode` and `flag` may say; the first is what their absence means. */
const modes = ["l2", "l3", "l3s"] as const;
const flags = ["bridge", "private", "vepa"] as const;

/** An ipvlan config, its master found as far as that goes without looking at the node. */
export interface IpvlanConfig {
  /** Name of the device to build on; "" means that of the default route. */
  readonly master: string;
  /** The config itself names the master, so that CHECK and STATUS can look for it. */
  readonly isMasterNamed: boolean;
  /** `linkInContainer`: the master is in the pod. */
  readonly isMasterInPod: boolean;
  readonly mode: (typeof modes)[number];
  /** How frames between ipvlans of one master go: straight, not at all, or over the switch outside. */
  readonly flag: (typeof flags)[number];
  /** 0 leaves it to the kernel, which takes the master's. */
  readonly mtu: number;
  /** As bridge and macvlan have it: probe for duplicates of IPv6 addresses and wait for the outcome. */
  readonly detectDuplicates: boolean;
  readonly dns: Dns | undefined;
  /** Addresses and routes of a previous result that move to the ipvlan, where no IPAM plugin is named; undefined without them. */
  readonly inherited: Result | undefined;
  /** The MAC that the runtime asked for, which no ipvlan can have. */
  readonly requestedMac: string | undefined;
}

/** Made by the first use: a DEL does well without. */
let schema: ReturnType<typeof makeSchema> | undefined;

function makeSchema() {
  return struct({
    master: optional(text(), ""),
    mode: optional(text(), ""),
    flag: optional(text(), ""),
    mtu: optional(integer(), 0),
    linkInContainer: optional(flag(), false),
    enabledad: optional(flag(), false),
    dns: dnsSchema(),
  });
}

/**
 * Reads an ipvlan config. Without `master` it is the one interface of a previous result, as upstream has it; without a previous result
 * the device of the default route. Without `ipam` the addresses are those of the previous result, and none at all only where `"ipam": {}`
 * says so: a config whose `ipam` was forgotten, or misspelt, is an error. Throws `CniError` code 7 for what can't be.
 */
export function parseConfig(conf: NetConf, args: CniArgs, verb: Verb): IpvlanConfig {
  schema ??= makeSchema();
  const raw = decodeConfig(schema, conf);
  const inherited = conf.ipamType === "" && (conf.prevResult?.ips.length ?? 0) > 0 ? conf.prevResult : undefined;
  const master = raw.master === "" && verb === "ADD" ? chainedMaster(conf.prevResult) : raw.master;
  if (verb === "ADD" && conf.ipamType === "" && inherited === undefined) requireIpamKey(conf, "ipvlan");
  return {
    master,
    isMasterNamed: raw.master !== "",
    isMasterInPod: raw.linkInContainer,
    mode: wordOf("mode", raw.mode, modes),
    flag: wordOf("flag", raw.flag, flags),
    mtu: raw.mtu,
    detectDuplicates: raw.enabledad,
    dns: raw.dns,
    inherited,
    requestedMac: requestedMac(conf, args),
  };
}

/** At CHECK the previous result is that of the whole chain, which says nothing of the master: only ADD looks for it there. */
function chainedMaster(prevResult: Result | undefined): string {
  if (prevResult === undefined) return "";
  const [only, another] = prevResult.interfaces;
  if (only !== undefined && another === undefined && only.name !== "") return only.name;
  const names = prevResult.interfaces.map(({ name }) => name).join(", ") || "none";
  throw new CniError(
    code.invalidConfig,
    `chained master failure. PrevResult lacks a single named interface: it has ${names}; name the device in "master"`,
  );
}

function wordOf<Word extends string>(key: string, given: string, words: readonly [Word, ...Word[]]): Word {
  if (given === "") return words[0];
  for (const word of words) if (word === given) return word;
  throw new CniError(
    code.invalidConfig,
    `unknown ipvlan ${key}: ${JSON.stringify(given)}; expected one of ${words.join(", ")}`,
  );
}
