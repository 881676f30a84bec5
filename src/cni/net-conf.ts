import { describeValue, JsonError } from "../json/error.ts";
import { getField } from "../json/struct.ts";
import { isJsonObject, type JsonObject, parse } from "../json/value.ts";
import { CniError, code } from "./error.ts";
import { validateNetworkName } from "./names.ts";
import type { Result } from "./result.ts";
import { decodePrevResult } from "./result-decode.ts";
import { asVersion, type CniVersion, compareVersions, type Verb, versionNumbers, versionsSince } from "./version.ts";

/**
 * One plugin's network configuration as it arrives on stdin (spec "Plugin configuration objects"): the keys that every plugin shares,
 * typed, and the whole object for the plugin's own parse.
 */
export interface NetConf {
  readonly cniVersion: CniVersion;
  readonly name: string;
  readonly type: string;
  /** The plugin named by `ipam.type`; "" when there is none. */
  readonly ipamType: string;
  readonly prevResult?: Result;
  /** The object as parsed: own keys, `ipam`, `dns`, `args`, `runtimeConfig`, `capabilities` and the shared keys. */
  readonly raw: JsonObject;
}

/** An attachment that the runtime still knows (spec GC, `cni.dev/valid-attachments`). */
export interface ValidAttachment {
  readonly containerId: string;
  readonly ifName: string;
}

/** A config, and one line for each thing that was passed over to read it. */
export interface ParsedNetConf {
  readonly conf: NetConf;
  readonly warnings: readonly string[];
}

/**
 * The shared part of a plugin's config, as text or as an object, for `verb`; `since` is the oldest version that the plugin speaks.
 * Names match in any letter case. Throws `CniError` in upstream's order: code 6 for what is no JSON object, 7 for the network's name,
 * 6 or 1 for the version, 1 for a prevResult of another family of versions. Where the verb can do without, a prevResult (DEL, GC,
 * STATUS) or an `ipam` (DEL, GC: no ADD has leased an address with it) that can't be read only warns.
 */
export function parseNetConf(input: string | JsonObject, verb: Verb, since?: CniVersion): ParsedNetConf {
  const parsed = typeof input === "string" ? parseConfigText(input) : { config: input, warnings: [] };
  const { config } = parsed;
  const warnings = [...parsed.warnings];
  /** What the other verbs do without when it can't be read: then it is a warning, and undefined. */
  const reading = <T>(neededBy: readonly Verb[], what: string, read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (neededBy.includes(verb) || !(error instanceof CniError)) throw error;
      warnings.push(`${verb} goes on without ${what}: ${error.message}`);
      return undefined;
    }
  };
  const name = requireName(config);
  const cniVersion = requireVersion(config, verb, since);
  const prevResult = reading(["ADD", "CHECK"], "prevResult", () => readPrevResult(config, cniVersion));
  const ipamType = reading(["ADD", "CHECK", "STATUS"], "IPAM", () => readIpamType(config)) ?? "";
  const type = stringField(config, "type", "$.type", code.invalidConfig);
  return {
    conf: { cniVersion, name, type, ipamType, raw: config, ...(prevResult === undefined ? {} : { prevResult }) },
    warnings,
  };
}

/** A config text as an object. Throws `CniError` code 6 for anything else, with line and column. */
export function parseConfigText(text: string): { readonly config: JsonObject; readonly warnings: readonly string[] } {
  const { value, warnings } = parseJson(text);
  if (isJsonObject(value)) return { config: value, warnings };
  throw new CniError(code.decoding, "error unmarshall network config: expected a JSON object");
}

/** The network's name. Throws `CniError` code 6 for one that is no string, 7 for one that is missing or not allowed. */
export function requireName(config: JsonObject): string {
  const name = stringField(config, "name", "error unmarshall network config: $.name", code.decoding);
  validateNetworkName(name);
  return name;
}

function parseJson(text: string) {
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw new CniError(code.decoding, `error unmarshall network config: ${cause.message}`, "", { cause });
  }
}

/** The oldest version whose configs may be used with a verb (spec "CNI operations"). */
const verbSince: Partial<Record<Verb, CniVersion>> = { CHECK: "0.4.0", GC: "1.1.0", STATUS: "1.1.0" };

/**
 * The config's version. Throws `CniError`: code 6 when it is no string, or, for a verb that came later, no version; 1 when it is older than
 * the verb or none that the plugin speaks.
 */
export function requireVersion(config: JsonObject, verb: Verb, since?: CniVersion): CniVersion {
  const text = stringField(config, "cniVersion", "$.cniVersion", code.decoding) || "0.1.0";
  const oldest = verbSince[verb];
  if (oldest !== undefined) requireVerb(text, verb, oldest);
  const supported = versionsSince(since);
  const version = asVersion(text);
  if (version !== undefined && supported.includes(version)) return version;
  const list = supported.map((each) => JSON.stringify(each)).join(" ");
  throw new CniError(
    code.incompatibleVersion,
    "incompatible CNI versions",
    `config is ${JSON.stringify(text)}, plugin supports [${list}]`,
  );
}

function requireVerb(text: string, verb: Verb, oldest: CniVersion): void {
  const numbers = versionNumbers(text);
  const minimum = versionNumbers(oldest);
  if (numbers === undefined || minimum === undefined) {
    throw new CniError(
      code.decoding,
      `invalid version ${JSON.stringify(text)}: expected up to three numbers such as 1.1.0`,
    );
  }
  if (compareVersions(numbers, minimum) >= 0) return;
  throw new CniError(
    code.incompatibleVersion,
    `config version does not allow ${verb}`,
    `config is ${JSON.stringify(text)}, ${verb} needs ${oldest} or newer`,
  );
}

function readPrevResult(config: JsonObject, version: CniVersion): Result | undefined {
  const value = getField(config, "prevResult");
  return value === undefined ? undefined : decodePrevResult(value, version);
}

function readIpamType(config: JsonObject): string {
  const ipam = getField(config, "ipam");
  if (ipam === undefined) return "";
  if (!isJsonObject(ipam))
    throw new CniError(code.invalidConfig, `$.ipam: expected an object, found ${describeValue(ipam)}`);
  return stringField(ipam, "type", "$.ipam.type", code.invalidConfig);
}

function stringField(object: JsonObject, name: string, where: string, errorCode: number): string {
  const value = getField(object, name) ?? "";
  if (typeof value === "string") return value;
  throw new CniError(errorCode, `${where}: expected a string, found ${JSON.stringify(value)}`);
}
