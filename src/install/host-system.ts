import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { type HostLibc, hostLibc, type LibcName } from "../libc/host-libc.ts";
import { messageOf } from "../words/message.ts";
import { InstallError } from "./install-error.ts";
import { linkedExecutables } from "./links.ts";

/** Beside the executable in the image. */
const muslSuffix = "-musl";
/** Enough for the name of the loader, which follows the program headers. */
const headBytes = 4096;

/** What decides which build of the executable a node gets. */
export interface BuildChoice {
  /** This process's own executable. */
  readonly own: string;
  /** Where the node's / is seen; "" when nobody said. */
  readonly root: string;
  readonly binDir: string;
  readonly say: (line: string) => void;
}

/**
 * The file to install: of the two builds the one that the node's system can start. Where the node's / is not to be seen it is the kind
 * that is installed already, since whoever installed that had seen it, and otherwise this process's own. Throws `InstallError`
 * "foreign-system" when no build that is here would start.
 */
export function chooseBuild({ own, root, binDir, say }: BuildChoice): string {
  const ownLibc = libcOf(own);
  const seen = root === "" ? undefined : look(root, say);
  if (seen !== undefined) refuseUnfit(seen);
  const libc = seen?.name ?? installedLibc(binDir) ?? ownLibc;
  const build = libc === ownLibc ? own : siblingOf(own, ownLibc);
  if (!existsSync(build)) {
    throw new InstallError(
      "foreign-system",
      `the node's system has ${libc}, this is the build for ${ownLibc}, and ${build} is not here: take the image, which has both`,
    );
  }
  if (seen?.name === "musl") say("the node's system has musl and no glibc: installing the musl build");
  return build;
}

function siblingOf(own: string, ownLibc: LibcName): string {
  if (ownLibc === "glibc") return `${own}${muslSuffix}`;
  return own.endsWith(muslSuffix) ? own.slice(0, -muslSuffix.length) : `${own}-glibc`;
}

/** A hardened system may forbid even to look: then it is as if nobody had said where. */
function look(root: string, say: BuildChoice["say"]): HostLibc | undefined {
  try {
    return hostLibc(root);
  } catch (error) {
    say(`can't see which C library the node has: ${messageOf(error)}`);
    return undefined;
  }
}

function refuseUnfit({ name, loader, missing }: HostLibc): void {
  if (name === undefined) {
    throw new InstallError(
      "foreign-system",
      `the node has no ${loader}: its system has neither glibc nor musl and can't start polynic, so nothing was installed; docs/operations.md lists systems`,
    );
  }
  if (missing === "") return;
  throw new InstallError(
    "foreign-system",
    `the node's system has musl and no ${missing}, which the musl build needs, so nothing was installed: install it on the node (Alpine: apk add libstdc++)`,
  );
}

function installedLibc(binDir: string): LibcName | undefined {
  if (!existsSync(binDir)) return undefined;
  const path = linkedExecutables(binDir)
    .map((name) => join(binDir, name))
    .find((each) => existsSync(each));
  return path === undefined ? undefined : libcOf(path);
}

/** By the loader that the file names (elf(5), PT_INTERP). */
function libcOf(path: string): LibcName {
  const head = Buffer.alloc(headBytes);
  const fd = openSync(path, "r");
  try {
    readSync(fd, head);
  } finally {
    closeSync(fd);
  }
  return head.includes("/lib/ld-musl-") ? "musl" : "glibc";
}
