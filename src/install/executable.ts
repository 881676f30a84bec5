import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";

const prefix = "polynic-";
const temporarySuffix = ".tmp";
const pieceBytes = 1 << 20;

/** The name of one version's file: "polynic-0.1.0+d3b4959". */
export function executableName(version: string): string {
  return `${prefix}${version}`;
}

/** True for a name that `executableName` gives, of whichever version. */
export function isExecutableName(name: string): boolean {
  return name.startsWith(prefix) && !name.endsWith(temporarySuffix);
}

/**
 * Puts the executable into the folder of plugins under its version's name: written beside, synced, renamed, so that a runtime finds it
 * whole or not at all and a running one is never touched (ETXTBSY). One with the same content stays as it is. Returns whether it was
 * written. What a killed install left is removed; the caller holds the folder's lock.
 */
export function placeExecutable(source: string, folder: string, version: string): boolean {
  for (const name of readdirSync(folder))
    if (name.startsWith(`.${prefix}`) && name.endsWith(temporarySuffix)) rmSync(join(folder, name));
  const target = join(folder, executableName(version));
  if (isSameFile(source, target)) return false;
  const temporary = join(folder, `.${executableName(version)}${temporarySuffix}`);
  copyFileSync(source, temporary);
  chmodSync(temporary, 0o755);
  sync(temporary);
  renameSync(temporary, target);
  sync(folder);
  return true;
}

/**
 * Removes all versions but those of `keep`. The version that links named until just now belongs to it: somebody may be following one of
 * them at this moment. Returns the names.
 */
export function removeOldExecutables(folder: string, keep: readonly string[]): string[] {
  const old = readdirSync(folder).filter((name) => isExecutableName(name) && !keep.includes(name));
  for (const name of old) rmSync(join(folder, name));
  return old;
}

/** Compared piece by piece: both are larger than the memory that an installing container is given. */
function isSameFile(source: string, target: string): boolean {
  if (!existsSync(target) || statSync(source).size !== statSync(target).size) return false;
  const [one, other] = [Buffer.alloc(pieceBytes), Buffer.alloc(pieceBytes)];
  const files = [openSync(source, "r"), openSync(target, "r")] as const;
  try {
    for (;;) {
      const count = readSync(files[0], one);
      if (readSync(files[1], other) !== count || !one.subarray(0, count).equals(other.subarray(0, count))) return false;
      if (count === 0) return true;
    }
  } finally {
    for (const file of files) closeSync(file);
  }
}

function sync(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
