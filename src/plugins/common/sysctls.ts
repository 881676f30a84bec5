import { CniError, code } from "../../cni/error.ts";
import { SystemError } from "../../libc/errno.ts";
import { readText, writeExisting } from "../../libc/file.ts";
import type { Netns } from "../../netns/netns.ts";
import { type Cures, explain } from "./explain.ts";

/** A sysctl to set. */
export interface Sysctl {
  /** As the config writes it. */
  readonly key: string;
  /** Below /proc/sys: "net/ipv4/conf/net1/arp_filter". */
  readonly path: string;
  readonly value: string;
}

/** A sysctl and what it says now; undefined for one that can only be written. */
export interface SysctlState {
  readonly path: string;
  readonly value: string | undefined;
}

const folder = "net/";
const token = "IFNAME";

/**
 * The sysctls of a config, by their order in it: dots and slashes in a key are the same, and the first IFNAME stands for the interface,
 * whose name may have dots of its own. Throws `CniError` code 7 for a key outside of net, which is not the pod's own, and for two keys
 * that mean one sysctl and differ in what it is to be.
 */
export function resolveSysctls(pairs: Readonly<Record<string, string>>, ifName: string): Sysctl[] {
  const sysctls: Sysctl[] = [];
  for (const key of Object.keys(pairs)) {
    const path = pathOf(key, ifName);
    const value = pairs[key] ?? "";
    const twin = sysctls.find((other) => other.path === path);
    if (twin === undefined) sysctls.push({ key, path, value });
    else if (twin.value !== value) {
      throw new CniError(
        code.invalidConfig,
        "duplicated sysctl keys are not allowed",
        `${JSON.stringify(twin.key)} and ${JSON.stringify(key)} are both ${path}`,
      );
    }
  }
  return sysctls;
}

function pathOf(key: string, ifName: string): string {
  const slashed = key.replaceAll(".", "/");
  // Not as a pattern: "$&" is an interface name too.
  const named = slashed.replace(token, () => ifName);
  const path = named.replaceAll(/\/+/g, "/").replace(/^\//, "").replace(/\/$/, "");
  if (path.startsWith(folder)) return path;
  throw new CniError(
    code.invalidConfig,
    `invalid net sysctl key: ${JSON.stringify(slashed)}`,
    "only what is below net is the pod's own: net.ipv4.conf.IFNAME.arp_notify",
  );
}

/** True for a sysctl of that interface, which goes with it; all others are the namespace's. */
export function isOfInterface(path: string, ifName: string): boolean {
  const [, , group, device] = path.split("/");
  return (group === "conf" || group === "neigh") && device === ifName;
}

/** Reads sysctls of the namespace, with one switch into it. Throws `CniError` for one that is not there. */
export function readSysctls(netns: Netns, paths: readonly string[]): SysctlState[] {
  if (paths.length === 0) return [];
  return netns.enter(() => paths.map((path) => ({ path, value: read(path) })));
}

function read(path: string): string | undefined {
  try {
    return readText(`/proc/sys/${path}`).trim();
  } catch (error) {
    // Such as net.ipv4.route.flush.
    if (error instanceof SystemError && ["EACCES", "EINVAL", "EPERM"].includes(error.code)) return undefined;
    throw refusal(error, cures(path));
  }
}

/** Sets sysctls of the namespace in order, with one switch into it. Throws `CniError` for the first that the kernel refuses. */
export function setSysctls(netns: Netns, settings: readonly Pick<Sysctl, "path" | "value">[]): void {
  if (settings.length > 0) netns.enter(() => setSysctlsHere(settings));
}

/** As `setSysctls`, in the namespace that the thread is in. */
export function setSysctlsHere(settings: readonly Pick<Sysctl, "path" | "value">[]): void {
  for (const { path, value } of settings) {
    try {
      writeExisting(`/proc/sys/${path}`, value);
    } catch (error) {
      throw refusal(error, cures(path, value));
    }
  }
}

/** Throws a `CniError` code 999 for the first that does not say what it was set to, by `who` in the words of the message. */
export function checkSysctls(netns: Netns, sysctls: readonly Sysctl[], who: string): void {
  const states = readSysctls(
    netns,
    sysctls.map(({ path }) => path),
  );
  for (const [at, { path, value }] of sysctls.entries()) {
    const found = states[at]?.value;
    if (found === undefined || isSameValue(value, found)) continue;
    throw new CniError(
      code.internal,
      `Error: ${who} value of /proc/sys/${path} is ${value}, current value is ${found}`,
    );
  }
}

/** Upstream's words: "open /proc/sys/net/x: no such file or directory". */
function refusal(error: unknown, cures: Cures): CniError {
  const operation = error instanceof SystemError ? `${error.call} ${error.subject}` : "sysctl";
  return explain(operation, error, cures);
}

function cures(path: string, value?: string): Cures {
  return {
    ENOENT: `the pod has no sysctl ${path}: its kernel module may not be loaded, the interface may be missing, or the key has a typing error`,
    EACCES: `${path} can't be changed in a pod`,
    EINVAL: `${JSON.stringify(value)} is no value for ${path}`,
  };
}

/**
 * True when the kernel can have made the one text of the other: it prints numbers in decimal, the parts of a value with tabs between them,
 * and joins the ranges of a list of ports.
 */
export function isSameValue(set: string, found: string): boolean {
  const [a, b] = [parts(set), parts(found)];
  if (a.length === b.length && a.every((part, at) => part === b[at])) return true;
  const ranges = rangesOf(set);
  return ranges !== undefined && ranges === rangesOf(found);
}

function parts(value: string): string[] {
  return value
    .trim()
    .split(/\s+/)
    .map((part) => (/^[-+]?(0x[0-9a-f]+|\d+)$/i.test(part) ? decimal(part) : part.toLowerCase()));
}

/** As the kernel reads numbers: 0x is hexadecimal, a leading 0 is octal. */
function decimal(text: string): string {
  const digits = text.replace(/^[-+]/, "");
  const value = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits}` : digits);
  return String(text.startsWith("-") ? -value : value);
}

/** "1-3,7" for "2,1,3,7"; undefined for what is no list of ports. */
function rangesOf(value: string): string | undefined {
  const text = value.replaceAll(/\s/g, "");
  if (!/^(\d+(-\d+)?(,|$))*$/.test(text)) return undefined;
  const pairs = text
    .split(",")
    .filter((part) => part !== "")
    .map((part) => part.split("-").map(Number))
    .map(([first = 0, last = first]) => [first, last] as const)
    .sort(([a], [b]) => a - b);
  const merged: [number, number][] = [];
  for (const [first, last] of pairs) {
    const previous = merged.at(-1);
    if (previous !== undefined && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last);
    else merged.push([first, last]);
  }
  return merged.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(",");
}
