import { parseIp } from "../ip/address.ts";
import { parsePrefix } from "../ip/prefix.ts";
import { JsonError } from "../json/error.ts";
import {
  array,
  checked,
  checkedOrEmpty,
  decode,
  getField,
  type Infer,
  integer,
  optional,
  stringList,
  struct,
  text,
} from "../json/struct.ts";
import { isJsonObject, type JsonValue } from "../json/value.ts";
import { CniError, code } from "./error.ts";
import type { Dns, Result, ResultInterface, ResultIp, ResultRoute } from "./result.ts";
import { asVersion, type CniVersion, familyOf, impliedVersion } from "./version.ts";

const prefix = () => checked(parsePrefix, "an IP address with prefix length");
const gateway = () => optional(checkedOrEmpty(parseIp, "an IP address"));
const word = () => optional(text());
const number = () => optional(integer());

/** `dns` of a result or of an IPAM config. */
export const dnsSchema = struct({
  nameservers: optional(stringList()),
  domain: word(),
  search: optional(stringList()),
  options: optional(stringList()),
});

/** One of the `routes` of a result or of an IPAM config. */
export const routeSchema = struct({
  dst: prefix(),
  gw: gateway(),
  mtu: number(),
  advmss: number(),
  priority: number(),
  table: number(),
  scope: number(),
});

/** 0.1.0 and 0.2.0. Made when first needed: most calls carry no result to decode, and schemas cost start-up time. */
const schema02 = once(() => {
  const family = struct({ ip: prefix(), gateway: gateway(), routes: optional(array(routeSchema), []) });
  return struct({ ip4: optional(family), ip6: optional(family), dns: optional(dnsSchema, {}) });
});

/** 0.3.0 and newer; `ips[].version` says nothing that the address does not. */
const schema03 = once(() =>
  struct({
    interfaces: optional(
      array(
        struct({
          name: optional(text(), ""),
          mac: word(),
          mtu: number(),
          sandbox: word(),
          socketPath: word(),
          pciID: word(),
        }),
      ),
      [],
    ),
    ips: optional(array(struct({ address: prefix(), gateway: gateway(), interface: number() })), []),
    routes: optional(array(routeSchema), []),
    dns: optional(dnsSchema, {}),
  }),
);

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

/**
 * A result as a plugin printed it, of any version; `version` is what it means when it names none (the config's, for a plugin's answer).
 * null is an empty result, as the Go library has it. Throws `CniError` code 6 with the JSON path, 1 for an unknown version.
 */
export function decodeResult(value: JsonValue, version: CniVersion): Result {
  const result = value ?? {};
  const named = versionOf(result);
  const known = asVersion(named === "" ? version : named);
  if (known === undefined) {
    throw new CniError(code.incompatibleVersion, `unsupported CNI result version ${JSON.stringify(named)}`);
  }
  return decodeAs(result, known);
}

/**
 * A config's prevResult; one that names no version is of the config's. Throws `CniError` code 6 with the JSON path, 1 when its version is
 * of another family than the config's.
 */
export function decodePrevResult(value: JsonValue, configVersion: CniVersion): Result {
  try {
    const named = versionOf(value) || configVersion;
    const family = familyOf(configVersion);
    if (!family.some((version) => version === named)) throw wrongFamily(named, family);
    return decodeAs(value, configVersion);
  } catch (error) {
    throw CniError.from(error).within("could not parse prevResult: ");
  }
}

function versionOf(value: JsonValue): string {
  const named = isJsonObject(value) ? (getField(value, "cniVersion") ?? "") : "";
  if (typeof named !== "string") throw new CniError(code.decoding, "$.cniVersion: expected a string");
  return named;
}

function wrongFamily(named: string, family: readonly CniVersion[]): CniError {
  // Go's list of the oldest family begins with the empty version.
  const supported = family.includes(impliedVersion) ? ["", ...family] : family;
  return new CniError(
    code.incompatibleVersion,
    `result type supports [${supported.join(" ")}] but unmarshalled CNIVersion is ${JSON.stringify(named)}`,
  );
}

function decodeAs(value: JsonValue, version: CniVersion): Result {
  try {
    return familyOf(version).includes(impliedVersion)
      ? from02(decode(schema02(), value))
      : from03(decode(schema03(), value));
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw new CniError(code.decoding, cause.message, "", { cause });
  }
}

/** IPv4 first, then IPv6, and their routes in the same order; no interfaces, so no index either. */
function from02({ ip4, ip6, dns }: Infer<ReturnType<typeof schema02>>): Result {
  const families = [ip4, ip6].filter((each) => each !== undefined);
  return {
    interfaces: [],
    ips: families.map(({ ip, gateway }) => present<ResultIp>({ address: ip, gateway })),
    routes: families.flatMap(({ routes }) => routes.map((each) => present<ResultRoute>(each))),
    dns: presentDns(dns),
  };
}

function from03({ interfaces, ips, routes, dns }: Infer<ReturnType<typeof schema03>>): Result {
  return {
    interfaces: interfaces.map((each) => ({ ...present<ResultInterface>(each), name: each.name })),
    ips: ips.map((each) => present<ResultIp>(each)),
    routes: routes.map((each) => present<ResultRoute>(each)),
    dns: presentDns(dns),
  };
}

/** Without what says nothing: absent values, and "" where Go writes it for an absent one. */
export function present<T>(entries: { readonly [Key in keyof T]: T[Key] | undefined }): T {
  const kept: Partial<T> = {};
  for (const name in entries) {
    const value = entries[name];
    if (value !== undefined && value !== "") kept[name] = value;
  }
  return kept as T;
}

/** What was decoded by `dnsSchema`, without what says nothing: "" and empty lists. */
export function presentDns({ nameservers = [], domain = "", search = [], options = [] }: Infer<typeof dnsSchema>): Dns {
  return {
    ...(nameservers.length > 0 && { nameservers }),
    ...(domain !== "" && { domain }),
    ...(search.length > 0 && { search }),
    ...(options.length > 0 && { options }),
  };
}
