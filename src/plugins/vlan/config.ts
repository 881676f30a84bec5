import type { CniArgs } from "../../cni/args.ts";
import { CniError, code } from "../../cni/error.ts";
import type { NetConf } from "../../cni/net-conf.ts";
import type { Dns } from "../../cni/result.ts";
import type { Verb } from "../../cni/version.ts";
import { flag, integer, optional, struct, text } from "../../json/struct.ts";
import { requireIpamKey } from "../common/address-source.ts";
import { dnsSchema } from "../common/dns.ts";
import { requestedMac } from "../common/mac.ts";
import { chainedMaster } from "../common/master.ts";
import { decodeConfig } from "../common/parse.ts";

/** A vlan config, its master found as far as that goes without looking at the node. */
export interface VlanConfig {
  /** Name of the device that carries the VLAN; "" only for verbs that do without. */
  readonly master: string;
  /** The config itself names the master, so that CHECK and STATUS can look for it. */
  readonly isMasterNamed: boolean;
  /** `linkInContainer`: the master is in the pod. */
  readonly isMasterInPod: boolean;
  readonly id: number;
  /** 0 leaves it to the kernel, which takes the master's. */
  readonly mtu: number;
  /** As bridge and macvlan have it: probe for duplicates of IPv6 addresses and wait for the outcome. */
  readonly detectDuplicates: boolean;
  readonly dns: Dns | undefined;
  /** The MAC that the runtime asked for; a VLAN has its master's. */
  readonly requestedMac: string | undefined;
}

/** 4095 is reserved (IEEE 802.1Q, 9.6). */
const idMax = 4094;

/** Made by the first use: a DEL of a broken config does well without. */
let schema: ReturnType<typeof makeSchema> | undefined;

function makeSchema() {
  return struct({
    master: optional(text(), ""),
    vlanId: optional(integer(), 0),
    mtu: optional(integer(), 0),
    linkInContainer: optional(flag(), false),
    enabledad: optional(flag(), false),
    dns: dnsSchema(),
  });
}

/**
 * Reads a vlan config. Without `master` it is the one interface of a previous result, if that is where the master is to be; ADD needs one or
 * the other. Addresses come from `ipam`; `"ipam": {}` makes an interface without. Throws `CniError` code 7 for what can't be.
 */
export function parseConfig(conf: NetConf, args: CniArgs, verb: Verb): VlanConfig {
  schema ??= makeSchema();
  const raw = decodeConfig(schema, conf);
  const master = raw.master || (verb === "ADD" && chainedMaster(conf.prevResult, raw.linkInContainer)) || "";
  if (verb === "ADD") {
    if (master === "") throw missingMaster();
    if (conf.ipamType === "") requireIpamKey(conf, "vlan");
  }
  if (raw.vlanId < 0 || raw.vlanId > idMax) {
    throw new CniError(code.invalidConfig, `invalid VLAN ID ${raw.vlanId} (must be between 0 and ${idMax})`);
  }
  return {
    master,
    isMasterNamed: raw.master !== "",
    isMasterInPod: raw.linkInContainer,
    id: raw.vlanId,
    mtu: raw.mtu,
    detectDuplicates: raw.enabledad,
    dns: raw.dns,
    requestedMac: requestedMac(conf, args),
  };
}

function missingMaster(): CniError {
  return new CniError(
    code.invalidConfig,
    '"master" field is required. It specifies the host interface name to create the VLAN for; only a previous result with a single interface can take its place',
  );
}
