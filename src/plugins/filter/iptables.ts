import { contentOf, openMemoryFile } from "../../libc/memory-file.ts";
import type { Netns } from "../../netns/netns.ts";

/** How long to wait for the xtables lock; upstream waits without limit, and then the runtime's own deadline strikes. */
const lockWaitSeconds = 15;
/** Behind it nothing should wait any more; a process that still does is killed. */
const processLimitMs = 60_000;
/** The exit status for the lock stands for other failures as well (RESOURCE_PROBLEM of xtables.h), so the words have to tell. */
const busyWords = /xtables lock|temporarily unavailable/i;
/** How much of its complaint is repeated; iptables-nft may have one for each line. */
const complaintLengthMax = 512;
/** Where iptables lives on hosts whose runtime passes on a PATH without the sbin folders. */
const usualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** "legacy" asks for the binaries that work on the x_tables of old, "default" for whatever the host calls iptables. */
export type Variant = "default" | "legacy";

/**
 * Why an iptables binary could not do its work: it is not there, it can't work on this kernel, somebody else kept the lock, or it
 * refused what it was asked for.
 */
export type IptablesErrorCode = "missing" | "unusable" | "busy" | "refused";

/** A failed call of an iptables binary; the message is one line and has what the binary said. */
export class IptablesError extends Error {
  override readonly name = "IptablesError";
  constructor(
    readonly code: IptablesErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** True for an `IptablesError` with one of these codes. */
export function isIptablesError(error: unknown, ...codes: readonly IptablesErrorCode[]): error is IptablesError {
  return error instanceof IptablesError && codes.includes(error.code);
}

/** All chains and rules of table nat, as `iptables -S` prints them. A host where that is refused can't use iptables. */
export async function listNat(host: Netns, version: 4 | 6, variant: Variant = "default"): Promise<string> {
  const command = [executable(version, variant, ""), "--wait", String(lockWaitSeconds), "-t", "nat", "-S"];
  try {
    return await run(host, command, "");
  } catch (error) {
    if (isIptablesError(error, "refused")) throw new IptablesError("unusable", error.message, { cause: error });
    throw error;
  }
}

/** Applies lines of iptables-restore(8) to table nat as one change: all of them, or none when one is refused. */
export async function restoreNat(
  host: Netns,
  version: 4 | 6,
  lines: readonly string[],
  variant: Variant = "default",
): Promise<void> {
  const command = [executable(version, variant, "-restore"), "--noflush", "--wait", String(lockWaitSeconds)];
  await run(host, command, ["*nat", ...lines, "COMMIT", ""].join("\n"));
}

function executable(version: 4 | 6, variant: Variant, suffix: string): string {
  return `${version === 4 ? "iptables" : "ip6tables"}${variant === "legacy" ? "-legacy" : ""}${suffix}`;
}

/**
 * The standard output of a command that succeeds. The child is born in `host`, before this comes back to its caller for the first time; this
 * thread is where it was by then. What it prints goes into files: reading pipes costs this process several milliseconds, and a
 * garbage collection for their buffers.
 */
async function run(host: Netns, [name = "", ...args]: readonly string[], stdin: string): Promise<string> {
  const path = searchPath();
  const file = Bun.which(name, { PATH: path });
  if (file === null) throw new IptablesError("missing", `${name} is not on this host (looked in ${path})`);
  using stdout = openMemoryFile(`what ${name} says`);
  using stderr = openMemoryFile(`errors of ${name}`);
  const child = host.enter(() =>
    Bun.spawn([file, ...args], {
      env: { PATH: path, LC_ALL: "C" },
      stdin: new TextEncoder().encode(stdin),
      stdout: stdout.number,
      stderr: stderr.number,
      timeout: processLimitMs,
      killSignal: "SIGKILL",
    }),
  );
  await child.exited;
  if (child.exitCode === 0) return contentOf(stdout);
  if (child.signalCode !== null) throw new IptablesError("busy", `${name} did not end within ${processLimitMs} ms`);
  const reason = complaint(contentOf(stderr));
  const errorCode = busyWords.test(reason) ? "busy" : "refused";
  throw new IptablesError(errorCode, `${name} ended with exit status ${child.exitCode}: ${reason}`);
}

/** Only folders that are named in full: an empty or relative part would mean wherever the runtime happens to be. */
function searchPath(): string {
  const folders: string[] = [];
  for (const folder of `${process.env["PATH"] ?? ""}:${usualPath}`.split(":"))
    if (folder.startsWith("/") && !folders.includes(folder)) folders.push(folder);
  return folders.join(":");
}

/** What the binary complained about, as one line: warnings and the pointer to its help are left out. */
function complaint(stderr: string): string {
  const lines = stderr.split("\n").map((line) => line.trim());
  const isTelling = (line: string) => line !== "" && !line.startsWith("# Warning") && !line.startsWith("Try ");
  return lines.filter(isTelling).join("; ").slice(0, complaintLengthMax);
}
