import { formatIp } from "../ip/address.ts";
import { formatPrefix } from "../ip/prefix.ts";
import type { JsonObject, JsonValue } from "../json/value.ts";
import { CniError, code } from "./error.ts";
import type { Dns, Result, ResultInterface, ResultIp, ResultRoute } from "./result.ts";
import { type CniVersion, isAtLeast } from "./version.ts";

/**
 * A result as JSON of `version`, keys in the order in which the Go library prints them: that of its structures below 1.0.0, the
 * alphabet's from 1.0.0 on. What the version has no key for is left out. Throws `CniError` code 1 when the version cannot say it at
 * all: below 0.3.0 there must be an address.
 */
export function encodeResult(result: Result, version: CniVersion): JsonObject {
  if (isAtLeast(version, "1.0.0")) return encode1(result, version);
  return isAtLeast(version, "0.3.0") ? encode04(result, version) : encode02(result, version);
}

/** 0.1.0 and 0.2.0: the first address of each family, and the routes of a family that has one. */
function encode02(result: Result, version: CniVersion): JsonObject {
  const ip4 = encodeFamily(result, 4);
  const ip6 = encodeFamily(result, 6);
  if (ip4 === undefined && ip6 === undefined) {
    throw new CniError(
      code.incompatibleVersion,
      "cannot convert: no valid IP addresses",
      `a result of version ${version} needs an IP address; set cniVersion to 0.3.1 or newer for a network without IPAM`,
    );
  }
  return object({ cniVersion: version, ip4, ip6, dns: encodeDns(result.dns) });
}

function encodeFamily({ ips, routes }: Result, family: 4 | 6): JsonObject | undefined {
  const first = ips.find(({ address }) => address.ip.family === family);
  if (first === undefined) return undefined;
  const own = routes.filter(({ dst }) => dst.ip.family === family);
  return object({
    ip: formatPrefix(first.address),
    gateway: first.gateway && formatIp(first.gateway),
    routes: list(own, ({ dst, gw }) => object({ dst: formatPrefix(dst), gw: gw && formatIp(gw) })),
  });
}

/** 0.3.0 to 0.4.0: no mtu, socketPath and pciID; the keys that 1.1.0 gave to routes stay, since Go has one route type for all. */
function encode04(result: Result, version: CniVersion): JsonObject {
  return object({
    cniVersion: version,
    interfaces: list(result.interfaces, ({ name, mac, sandbox }) =>
      object({ name, mac: filled(mac), sandbox: filled(sandbox) }),
    ),
    ips: list(result.ips, (ip) =>
      object({
        version: String(ip.address.ip.family),
        interface: ip.interface,
        address: formatPrefix(ip.address),
        gateway: ip.gateway && formatIp(ip.gateway),
      }),
    ),
    routes: list(result.routes, encodeRoute04),
    dns: encodeDns(result.dns),
  });
}

function encodeRoute04({ dst, gw, mtu, advmss, priority, table, scope }: ResultRoute): JsonObject {
  return object({
    dst: formatPrefix(dst),
    gw: gw && formatIp(gw),
    mtu: nonZero(mtu),
    advmss: nonZero(advmss),
    priority: nonZero(priority),
    table,
    scope,
  });
}

/** 1.0.0 and 1.1.0: sorted keys, and no `dns` when it says nothing. */
function encode1(result: Result, version: CniVersion): JsonObject {
  const { domain, nameservers, options, search } = encodeDns(result.dns);
  const dns = object({ domain, nameservers, options, search });
  return object({
    cniVersion: version,
    dns: Object.keys(dns).length === 0 ? undefined : dns,
    interfaces: list(result.interfaces, encodeInterface1),
    ips: list(result.ips, encodeIp1),
    routes: list(result.routes, encodeRoute1),
  });
}

function encodeInterface1({ name, mac, mtu, sandbox, socketPath, pciID }: ResultInterface): JsonObject {
  return object({
    mac: filled(mac),
    mtu: nonZero(mtu),
    name,
    pciID: filled(pciID),
    sandbox: filled(sandbox),
    socketPath: filled(socketPath),
  });
}

function encodeIp1(ip: ResultIp): JsonObject {
  return object({
    address: formatPrefix(ip.address),
    gateway: ip.gateway && formatIp(ip.gateway),
    interface: ip.interface,
  });
}

function encodeRoute1({ dst, gw, mtu, advmss, priority, table, scope }: ResultRoute): JsonObject {
  return object({
    advmss: nonZero(advmss),
    dst: formatPrefix(dst),
    gw: gw && formatIp(gw),
    mtu: nonZero(mtu),
    priority: nonZero(priority),
    scope,
    table,
  });
}

function encodeDns({ nameservers, domain, search, options }: Dns): JsonObject {
  return object({
    nameservers: strings(nameservers),
    domain: filled(domain),
    search: strings(search),
    options: strings(options),
  });
}

/** The entries that are there, in order. */
function object(entries: Readonly<Record<string, JsonValue | undefined>>): JsonObject {
  const present: Record<string, JsonValue> = {};
  for (const name in entries) {
    const value = entries[name];
    if (value !== undefined) present[name] = value;
  }
  return present;
}

function list<T>(items: readonly T[], encode: (item: T) => JsonObject): JsonObject[] | undefined {
  if (items.length === 0) return undefined;
  const encoded: JsonObject[] = [];
  for (const item of items) encoded.push(encode(item));
  return encoded;
}

function strings(items: readonly string[] | undefined): string[] | undefined {
  return items === undefined || items.length === 0 ? undefined : [...items];
}

function filled(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

/** 0 is left out like an absent value, as Go's omitempty does; `table` and `scope` are pointers there and keep their 0. */
function nonZero(value: number | undefined): number | undefined {
  return value === 0 ? undefined : value;
}
