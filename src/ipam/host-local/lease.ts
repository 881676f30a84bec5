/**
 * Who holds an address, as host-local writes it into the lease's file: the container ID, CR LF, the interface name. Old versions
 * wrote the container ID alone, and then `ifName` is undefined.
 */
export interface Holder {
  readonly containerId: string;
  readonly ifName: string | undefined;
}

const lineBreak = "\r\n";
// The characters that the specification allows in CNI_CONTAINERID.
const containerIdPattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** The content of a lease's file; no line end after it. */
export function formatHolder({ containerId, ifName }: Holder): string {
  return ifName === undefined ? containerId : `${containerId}${lineBreak}${ifName}`;
}

/**
 * The content of a lease's file without the white space around it, which never counts: equal texts are the same holder. A file that
 * a crash left empty, or that holds only the zero bytes which a power cut leaves, gives "".
 */
export function holderText(content: string): string {
  return content.replaceAll("\0", "").trim();
}

/** Who that text names; undefined for a text that host-local never writes, such as a person's "# the printer". */
export function parseHolder(text: string): Holder | undefined {
  const [containerId = "", ifName, ...more] = text.split(/\r?\n/);
  if (!containerIdPattern.test(containerId) || more.length > 0) return undefined;
  return { containerId, ifName };
}

/** For people: who holds an address whose file holds `text`. */
export function describeHolder(text: string): string {
  const holder = parseHolder(text);
  if (holder === undefined) return JSON.stringify(text);
  return `container ${holder.containerId}${holder.ifName === undefined ? "" : `, interface ${holder.ifName}`}`;
}

/** The names that leases have in a network's directory; every other file there is something else. */
export function isLeaseName(name: string): boolean {
  return /^[0-9a-f]*[.:][0-9a-f.:]*$/i.test(name);
}
