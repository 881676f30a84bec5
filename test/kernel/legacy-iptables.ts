import { realpathSync } from "node:fs";
import { runCommand } from "../kit/command.ts";
import { findExecutable } from "../kit/packages.ts";

/**
 * For guests: their nf_tables knows bridges only, so whatever this machine calls iptables is covered, for the rest of the boot, with the binary
 * for x_tables.
 */
export function useLegacyIptables(): void {
  const [usual, legacy] = ["iptables", "iptables-legacy"].map((name) => realpathSync(findExecutable(name) ?? name));
  if (usual !== legacy) runCommand(["mount", "--bind", legacy ?? "", usual ?? ""]);
}
