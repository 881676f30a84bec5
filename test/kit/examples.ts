import { cpSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { useDisposable } from "./hooks.ts";
import { type TemporaryFolder, temporaryFolder } from "./tmp.ts";

const repository = join(import.meta.dirname, "..", "..");

/**
 * A folder for all tests of the block that is to the examples what the top of the repository is: `conf-examples` is there as it stands, and `dist`
 * under its name. What pods are given is written beside their manifests, and lanes run side by side: none may do so in the repository itself.
 */
export function useExamples(): () => TemporaryFolder {
  return useDisposable(() => {
    const folder = temporaryFolder();
    cpSync(join(repository, "conf-examples"), join(folder.path, "conf-examples"), {
      recursive: true,
      // What somebody who has tried them has left.
      filter: (path) => !path.endsWith("/.state"),
    });
    symlinkSync(join(repository, "dist"), join(folder.path, "dist"));
    return folder;
  });
}
