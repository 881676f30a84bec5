import { argument, type CniArgs, refuseUnknownArgs } from "../../cni/args.ts";
import type { NetConf } from "../../cni/net-conf.ts";
import type { Verb } from "../../cni/version.ts";
import { formatMac } from "../../ip/mac.ts";
import { flag, getField, integer, mapOf, optional, struct, text } from "../../json/struct.ts";
import { chooseMac } from "../common/mac.ts";
import { decodeConfig } from "../common/parse.ts";
import { defaultDataDir } from "./data-dir.ts";
import type { LinkSettings } from "./link-settings.ts";

/** A tuning config, with what `args.cni`, CNI_ARGS and the runtime say put over it. */
export interface TuningConfig {
  /** Where backups are. */
  readonly dataDir: string;
  /** By key as written. */
  readonly sysctls: Readonly<Record<string, string>>;
  readonly settings: LinkSettings;
  /** `requireAllowlist`: without the node's list of sysctls none may be set. */
  readonly requiresAllowlist: boolean;
}

const uint32Max = 0xffff_ffff;

/**
 * Reads a tuning config. What is later here wins over what is earlier: the config, for the MAC CNI_ARGS and runtimeConfig, then `args.cni`;
 * sysctls of both are set. DEL and GC need to know where backups are and nothing else. Throws `CniError` code 7 for what can't be, 4
 * for CNI_ARGS with unknown keys.
 */
export function parseConfig(conf: NetConf, args: CniArgs, verb: Verb): TuningConfig {
  if (verb === "DEL" || verb === "GC") {
    return { dataDir: dataDirOf(conf), sysctls: {}, settings: {}, requiresAllowlist: false };
  }
  const entries = {
    sysctl: optional(mapOf(text()), {}),
    mac: optional(text()),
    promisc: optional(flag()),
    mtu: optional(integer({ min: 0, max: uint32Max })),
    allmulti: optional(flag()),
    txQLen: optional(integer({ min: 0, max: uint32Max })),
  };
  const schema = struct({
    ...entries,
    dataDir: optional(text(), ""),
    requireAllowlist: optional(flag(), false),
    runtimeConfig: optional(struct({ mac: optional(text()) })),
    args: optional(struct({ cni: optional(struct(entries)) })),
  });
  const raw = decodeConfig(schema, conf);
  const over = raw.args?.cni;
  refuseUnknownArgs(args, ["MAC"]);
  const mac = chooseMac([
    { where: "$.mac", text: raw.mac },
    { where: "CNI_ARGS MAC", text: argument(args, "MAC") },
    { where: "$.runtimeConfig.mac", text: raw.runtimeConfig?.mac },
    { where: "$.args.cni.mac", text: over?.mac },
  ]);
  const mtu = over?.mtu ?? raw.mtu ?? 0;
  return {
    dataDir: raw.dataDir === "" ? defaultDataDir : raw.dataDir,
    sysctls: { ...raw.sysctl, ...over?.sysctl },
    settings: {
      mac: mac === undefined ? undefined : formatMac(mac),
      // false leaves the interface as it is, as upstream has it.
      promisc: (over?.promisc ?? raw.promisc) === true ? true : undefined,
      mtu: mtu === 0 ? undefined : mtu,
      allmulti: over?.allmulti ?? raw.allmulti,
      txQLen: over?.txQLen ?? raw.txQLen,
    },
    requiresAllowlist: raw.requireAllowlist,
  };
}

/** Of a config that may be wrong in all else. */
function dataDirOf({ raw }: NetConf): string {
  const dataDir = getField(raw, "dataDir");
  return typeof dataDir === "string" && dataDir !== "" ? dataDir : defaultDataDir;
}
