const hourMs = 3_600_000;

/** The hour that a time belongs to, in ms since 1970: marks are kept by it. */
export function hourOf(now: number): number {
  return Math.floor(now / hourMs);
}

/** Where the marks of an hour lie. The dot keeps it apart from the journals, which Multus reads too. */
export function marksFolder(cniDir: string, hour: number): string {
  return `${cniDir}/.settled/${hour}`;
}
