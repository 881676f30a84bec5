import { existsSync } from "node:fs";
import { join } from "node:path";
import { loaderPath } from "../libc/loader.ts";
import { InstallError } from "./install-error.ts";

/** Throws `InstallError` "foreign-system" when the node whose / is seen at `root` could not start what would be installed. */
export function requireLoader(root: string): void {
  if (existsSync(join(root, loaderPath()))) return;
  throw new InstallError(
    "foreign-system",
    `the node has no ${loaderPath()}: its system has no glibc and can't start polynic, so nothing was installed; docs/operations.md lists systems`,
  );
}
