import { lstatSync, readFileSync, readlinkSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** Where the dynamic loaders lie that the two builds name: a system without it can't start that build at all. */
const loaders = {
  x64: { glibc: "/lib64/ld-linux-x86-64.so.2", musl: "/lib/ld-musl-x86_64.so.1" },
  arm64: { glibc: "/lib/ld-linux-aarch64.so.1", musl: "/lib/ld-musl-aarch64.so.1" },
} as const;

/** What the musl build wants besides musl; the glibc build has it inside. */
const muslNeeds = "libstdc++.so.6";
/** musl's own, where /etc/ld-musl-ARCH.path does not say otherwise (ldso/dynlink.c). */
const muslFolders = ["/lib", "/usr/local/lib", "/usr/lib"];
/** As the kernel has it (path_resolution(7)). */
const linksMax = 40;

export type LibcName = "glibc" | "musl";

/** The C library of a system as far as it concerns us. */
export interface HostLibc {
  readonly name: LibcName | undefined;
  /** The loader that was found; where none was, the one of glibc that was looked for. */
  readonly loader: string;
  /** File that the build for this library needs and the system lacks; "" when it has all. */
  readonly missing: string;
}

/**
 * Looks at the system whose / is seen at `root`; its symbolic links are followed within it. glibc goes first where both are there, as on
 * distributions that package musl beside their own. Throws the file system's error when it may not be looked at.
 */
export function hostLibc(root: string): HostLibc {
  const { glibc, musl } = process.arch === "arm64" ? loaders.arm64 : loaders.x64;
  if (existsIn(root, glibc)) return { name: "glibc", loader: glibc, missing: "" };
  if (!existsIn(root, musl)) return { name: undefined, loader: glibc, missing: "" };
  const hasAll = foldersOf(root, musl).some((folder) => existsIn(root, join(folder, muslNeeds)));
  return { name: "musl", loader: musl, missing: hasAll ? "" : muslNeeds };
}

function foldersOf(root: string, loader: string): readonly string[] {
  const configured = resolveIn(root, loader.replace("/lib/", "/etc/").replace(".so.1", ".path"));
  if (configured === undefined) return muslFolders;
  return readFileSync(configured, "utf8")
    .split(/[:\n]/)
    .filter((folder) => folder !== "");
}

function existsIn(root: string, path: string): boolean {
  return resolveIn(root, path) !== undefined;
}

/** Where the file is, seen from here, that `path` names to a process whose / is `root` (chroot(2)); undefined when there is none. */
function resolveIn(root: string, path: string): string | undefined {
  let rest = path.split("/").filter((name) => name !== "");
  let at = "/";
  for (let links = 0; rest.length > 0;) {
    const [name = "", ...after] = rest;
    const here = normalize(join(at, name));
    const status = lstatSync(join(root, here), { throwIfNoEntry: false });
    if (status === undefined) return undefined;
    if (!status.isSymbolicLink()) {
      at = here;
      rest = after;
      continue;
    }
    if (++links > linksMax) return undefined;
    const target = readlinkSync(join(root, here));
    at = target.startsWith("/") ? "/" : dirname(here);
    rest = [...target.split("/").filter((part) => part !== ""), ...after];
  }
  return join(root, at);
}
