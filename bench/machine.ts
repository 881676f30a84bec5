import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { goVersion } from "../test/kit/peer-tools.ts";

/** One line about what was measured on. */
export function describeMachine(): string {
  const [first] = cpus();
  const { devDependencies } = JSON.parse(readFileSync(`${import.meta.dirname}/../package.json`, "utf8")) as {
    readonly devDependencies: Readonly<Record<string, string>>;
  };
  return [
    `${cpus().length} × ${first?.model.trim() ?? "unknown processor"}`,
    `${Math.round(totalmem() / 2 ** 30)} GiB`,
    `Linux ${release()}`,
    `Bun ${devDependencies["bun"] ?? "?"}`,
    goVersion() ?? "no Go",
  ].join(", ");
}
