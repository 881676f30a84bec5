/** Every version of the specification that polynic speaks, oldest first. */
export const versions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;

export type CniVersion = (typeof versions)[number];

export type Verb = "ADD" | "DEL" | "CHECK" | "STATUS" | "GC" | "VERSION";

export const newestVersion: CniVersion = "1.1.0";

/** What a config without `cniVersion`, or with an empty one, means. */
export const impliedVersion: CniVersion = "0.1.0";

/** The version itself; undefined for any other text. */
export function asVersion(text: string): CniVersion | undefined {
  for (const known of versions) if (known === text) return known;
  return undefined;
}

/** True when `version` is `minimum` or newer. */
export function isAtLeast(version: CniVersion, minimum: CniVersion): boolean {
  return versions.indexOf(version) >= versions.indexOf(minimum);
}

type VersionNumbers = readonly [major: number, minor: number, micro: number];

const part = /^[+-]?\d+$/;

/**
 * The numbers of a version of up to three parts, missing ones 0; "" is 0.1.0. Undefined for text that is none. A version may be newer
 * than all that polynic speaks: this only reads it, for comparing.
 */
export function versionNumbers(text: string): VersionNumbers | undefined {
  const parts = (text === "" ? impliedVersion : text).split(".");
  if (parts.length > 3 || !parts.every((number) => part.test(number))) return undefined;
  const [major = 0, minor = 0, micro = 0] = parts.map(Number);
  return [major, minor, micro];
}

/** Order of two versions as numbers: negative, 0 or positive. */
export function compareVersions(a: VersionNumbers, b: VersionNumbers): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}

/** The versions of one family print and read the same result types; a prevResult must be of its config's family. */
const families: readonly (readonly CniVersion[])[] = [
  ["0.1.0", "0.2.0"],
  ["0.3.0", "0.3.1", "0.4.0"],
  ["1.0.0", "1.1.0"],
];

/** All versions whose result type is that of `version`, itself included, oldest first. */
export function familyOf(version: CniVersion): readonly CniVersion[] {
  return families.find((family) => family.includes(version)) ?? [version];
}

/** The versions from `since` on, as a plugin answers VERSION; all of them without it. */
export function versionsSince(since: CniVersion = "0.1.0"): readonly CniVersion[] {
  return versions.slice(versions.indexOf(since));
}

/**
 * What a plugin that speaks all versions from `since` on answers to VERSION, as a line of JSON. It names the newest version that polynic
 * speaks, whatever was asked with (spec "Version").
 */
export function versionAnswer(since?: CniVersion): string {
  return `${JSON.stringify({ cniVersion: newestVersion, supportedVersions: versionsSince(since) })}\n`;
}
