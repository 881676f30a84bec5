import { argument, type CniArgs, refuseUnknownArgs } from "../../cni/args.ts";
import { CniError, code } from "../../cni/error.ts";
import type { NetConf } from "../../cni/net-conf.ts";
import type { Dns } from "../../cni/result.ts";
import type { Verb } from "../../cni/version.ts";
import { flag, integer, optional, struct, text } from "../../json/struct.ts";
import { dnsSchema } from "../common/dns.ts";
import { chooseMac } from "../common/mac.ts";
import { chainedMaster } from "../common/master.ts";
import { decodeConfig } from "../common/parse.ts";

/** What `mode` may say; the first is what its absence means. The kernel's fifth, source, needs a list of MACs that CNI has no key for. */
const modes = ["bridge", "private", "vepa", "passthru"] as const;

/** A macvlan config, its MAC chosen and its master found as far as that goes without looking at the node. */
export interface MacvlanConfig {
  /** Name of the device to build on; undefined means that of the default route. */
  readonly master: string | undefined;
  /** The config itself names the master, so that CHECK can hold the link to it. */
  readonly isMasterNamed: boolean;
  /** `linkInContainer`: the master is in the pod. */
  readonly isMasterInPod: boolean;
  readonly mode: (typeof modes)[number];
  /** 0 leaves it to the kernel, which takes the master's. */
  readonly mtu: number;
  readonly mac: Uint8Array | undefined;
  /** `bcqueuelen`; undefined leaves it to the kernel. */
  readonly broadcastQueueLength: number | undefined;
  /** `enabledad`, as bridge has it: probe for duplicates of IPv6 addresses and wait for the outcome. */
  readonly detectDuplicates: boolean;
  readonly dns: Dns | undefined;
}

const uint32Max = 0xffff_ffff;

const schema = struct({
  master: optional(text(), ""),
  mode: optional(text(), ""),
  mtu: optional(integer(), 0),
  mac: optional(text()),
  linkInContainer: optional(flag(), false),
  bcqueuelen: optional(integer({ min: 0, max: uint32Max }), 0),
  enabledad: optional(flag(), false),
  dns: dnsSchema(),
  runtimeConfig: optional(struct({ mac: optional(text()) })),
});

/**
 * Reads a macvlan config. The MAC is that of runtimeConfig, else of CNI_ARGS, else of the config. Without `master` it is the interface of
 * a previous result that has just one, if that is where the master is to be: so macvlan can stand behind a plugin that makes its master.
 * Throws `CniError` code 7 for what can't be, 4 for CNI_ARGS with unknown keys.
 */
export function parseConfig(conf: NetConf, args: CniArgs, verb: Verb): MacvlanConfig {
  const raw = decodeConfig(schema, conf);
  if (verb !== "DEL") refuseUnknownArgs(args, ["MAC"]);
  return {
    master: raw.master === "" ? chainedMaster(conf.prevResult, raw.linkInContainer) : raw.master,
    isMasterNamed: raw.master !== "",
    isMasterInPod: raw.linkInContainer,
    mode: modeOf(raw.mode),
    mtu: raw.mtu,
    mac: chooseMac([
      { where: "$.mac", text: raw.mac },
      { where: "CNI_ARGS MAC", text: argument(args, "MAC") },
      { where: "$.runtimeConfig.mac", text: raw.runtimeConfig?.mac },
    ]),
    // Upstream's 0 is "not set" as well.
    broadcastQueueLength: raw.bcqueuelen === 0 ? undefined : raw.bcqueuelen,
    detectDuplicates: raw.enabledad,
    dns: raw.dns,
  };
}

function modeOf(mode: string): MacvlanConfig["mode"] {
  const known = mode === "" ? modes[0] : modes.find((each) => each === mode);
  if (known !== undefined) return known;
  throw new CniError(
    code.invalidConfig,
    `unknown macvlan mode: ${JSON.stringify(mode)}; expected one of ${modes.join(", ")}`,
  );
}
