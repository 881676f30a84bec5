import { accessSync, constants, existsSync, lstatSync, readdirSync, readlinkSync, statfsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { failed, type Finding, ok, skipped, warning } from "./finding.ts";

export interface Folders {
  readonly binDir: string;
  readonly confDir: string;
  readonly cniDir: string;
}

const fewBytes = 200e6;

/** The folders that a CNI plugin lives in, and what is in the place of the executable. */
export function checkFolders({ binDir, confDir, cniDir }: Folders, isInstalled: boolean): Finding[] {
  return [
    checkFolder("folder-plugins", binDir, isInstalled),
    checkFolder("folder-configs", confDir, isInstalled),
    checkSpace(binDir),
    checkJournal(cniDir),
    isInstalled ? checkExecutable(binDir) : skipped("install-executable", "not asked for before the install"),
  ];
}

function checkFolder(code: string, path: string, isInstalled: boolean): Finding {
  if (existsSync(path)) {
    if (isWritableFolder(path)) return ok(code, `${path} can be written`);
    return failed(code, `${path} can't be written`, "mount it for writing, or name a folder that can");
  }
  if (!isInstalled) return ok(code, `${path} will be made`);
  const cure = "--cni-bin-dir and --cni-conf-dir name the container runtime's bin_dir and conf_dir";
  return failed(code, `${path} does not exist`, cure);
}

function checkSpace(path: string): Finding {
  const code = "folder-space";
  if (!existsSync(path)) return skipped(code, `${path} does not exist`);
  const { bavail, bsize } = statfsSync(path);
  const megabytes = Math.round((bavail * bsize) / 1e6);
  if (bavail * bsize >= fewBytes) return ok(code, `${megabytes} MB are free in ${path}`);
  return warning(code, `${megabytes} MB are free in ${path}; an upgrade needs 120`, "make room on that file system");
}

/** It is made by the first pod; what matters is that it can be. */
function checkJournal(path: string): Finding {
  let nearest = path;
  while (!existsSync(nearest)) nearest = dirname(nearest);
  if (isWritableFolder(nearest)) return ok("folder-journal", `attachments can be journaled in ${path}`);
  return failed(
    "folder-journal",
    `${nearest} is no folder that can be written, so nothing can be journaled in ${path}`,
    "make it one",
  );
}

function checkExecutable(binDir: string): Finding {
  const code = "install-executable";
  const path = join(binDir, "multus");
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined)
    return failed(code, `there is no ${path}`, "run polynic install");
  const target = linkTarget(path);
  if (target === undefined || !target.startsWith("polynic-"))
    return failed(
      code,
      `${path} did not come from polynic`,
      "run polynic install --replace, which keeps that file for uninstall",
    );
  if (!existsSync(path)) return failed(code, `${path} leads to ${target}, which is gone`, "run polynic install");
  const others = readdirSync(binDir).filter((name) => name.startsWith("polynic-") && name !== target);
  return ok(code, `${path} is ${target}${others.length === 0 ? "" : `; ${others.join(", ")} is there for a rollback`}`);
}

function linkTarget(path: string): string | undefined {
  return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined;
}

function isWritableFolder(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return statSync(path).isDirectory();
  } catch {
    // Read-only, or not ours.
    return false;
  }
}
