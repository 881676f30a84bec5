import type { CniArgs } from "../../cni/args.ts";
import { CniError, code } from "../../cni/error.ts";
import type { NetConf } from "../../cni/net-conf.ts";
import type { Call, ConfigReview } from "../../cni/plugin.ts";
import type { Logger } from "../../log/logger.ts";
import { defaultLogOptions, openLogger } from "../../log/open.ts";
import { compile, ipamOf, ownOptions, type WhereaboutsConfig } from "./config.ts";
import { completeOptions } from "./flat-file.ts";
import { misspelt, type Options } from "./options.ts";

/** The config as the network has it, before the node's flat file has its say. */
export interface ParsedConfig {
  readonly own: Options;
  readonly args: CniArgs;
  /** What holds where there is no flat file. */
  readonly alone: WhereaboutsConfig;
}

/** Refuses what is wrong whatever the flat file says; touches no file. Throws `CniError` code 7 that names the JSON path, 4 for CNI_ARGS. */
export function parseConfig(conf: NetConf, args: CniArgs): ParsedConfig {
  const own = ownOptions(conf);
  return { own, args, alone: compile(conf, own, args, { mayGrow: true }) };
}

/** What an ADD would warn of. Without a range it may still have one: each node's flat file can name some. */
export function reviewConfig({ alone: { ranges, statics, warnings } }: ParsedConfig): ConfigReview {
  if (ranges.length + statics.length > 0) return { refusal: "", warnings };
  const cure = `pods get an address only on nodes whose whereabouts.conf names a range; name one as $.ipam.range, such as "10.1.0.0/16"`;
  return { refusal: "", warnings: [...warnings, `no range to give out addresses of (at $.ipam): ${cure}`] };
}

/** The config of a call with everything that the node and the dispatcher add. Throws `CniError`. */
export function settle({ conf, runtime }: Call, { own, args, alone }: ParsedConfig): WhereaboutsConfig {
  const { options, file, warnings } = completeOptions(own);
  const { podAnnotations } = runtime;
  const isWhole = file === "" && podAnnotations === undefined && alone.unplaced.length === 0;
  const config = isWhole ? alone : compile(conf, options, args, { podAnnotations, warnings });
  if (config.ranges.length > 0) return config;
  const meant = [...misspelt(ipamOf(conf), "$.ipam"), ...warnings];
  if (meant.length === 0) return config;
  throw new CniError(code.invalidConfig, "no range to give out addresses of (at $.ipam)", meant.join("; "));
}

/** The call with a log that also goes where the config says; whereabouts' levels are ours. */
export function withLog<Each extends Call>(call: Each, { logFile, logLevel = "debug" }: WhereaboutsConfig): Each {
  if (logFile === "") return call;
  const own = openLogger({ ...defaultLogOptions, level: logLevel, file: logFile, toStderr: false });
  return { ...call, log: tee(call.log, own) };
}

function tee(one: Logger, other: Logger): Logger {
  const both =
    (level: "debug" | "verbose" | "error" | "panic"): Logger["error"] =>
    (message, fields) => {
      one[level](message, fields);
      other[level](message, fields);
    };
  return {
    debug: both("debug"),
    verbose: both("verbose"),
    error: both("error"),
    panic: both("panic"),
    with: (fields) => tee(one.with(fields), other.with(fields)),
  };
}
