import { readFileSync, realpathSync, rmSync } from "node:fs";

/** What is mounted at `folder` or below it in this process's mount namespace, innermost first; nothing for a folder that is missing. */
export function mountsIn(folder: string): string[] {
  const real = realPath(folder);
  if (real === undefined) return [];
  const paths = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => unescaped(line.split(" ")[1] ?? ""));
  return paths.filter((path) => path === real || path.startsWith(`${real}/`)).toReversed();
}

/**
 * Removes a folder with all that is in it; nothing happens when it is missing. Throws when something is mounted there: through a bind mount the
 * machine's own files would go.
 */
export function removeTree(folder: string): void {
  const mounts = mountsIn(folder);
  if (mounts.length > 0)
    throw new Error(`${folder} is not removed: ${mounts.join(", ")} is mounted there; unmount it first`);
  rmSync(folder, { recursive: true, force: true });
}

function realPath(folder: string): string | undefined {
  try {
    return realpathSync(folder);
  } catch {
    return undefined;
  }
}

/** proc(5): white space and backslashes stand there in octal. */
function unescaped(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCodePoint(Number.parseInt(digits, 8)));
}
