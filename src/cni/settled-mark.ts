const hourMs = 3_600_000;

/** The hour that a time belongs to, in ms since 1970: marks are kept by it. */
export function hourOf(now: number): number {
  // Not by Math, whose first use costs 100,000 instructions: a DEL that finds nothing has no other.
  return (now - (now % hourMs)) / hourMs;
}

/** Where the marks of an hour lie. The dot keeps it apart from the journals, which Multus reads too. */
export function marksFolder(cniDir: string, hour: number): string {
  return `${cniDir}/.settled/${hour}`;
}
