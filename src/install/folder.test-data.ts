import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll } from "vitest";
import type { ConfOptions } from "./dispatcher-conf.ts";

/** A dispatcher's config that nothing is asked of. */
export const noConf: ConfOptions = {
  cniVersion: "",
  forcesVersion: false,
  keepsName: false,
  kubeconfig: "",
  manifests: "",
  binDir: "",
  networkDir: "",
  cniDir: "",
  readinessIndicatorFile: "",
  namespaceIsolation: false,
  globalNamespaces: "",
  logFile: "",
  logLevel: "",
  logToStderr: false,
};

/** A folder that goes after the tests of the file. */
export class TestFolder {
  readonly path = mkdtempSync(join(tmpdir(), "polynic-install-"));

  constructor() {
    afterAll(() => rmSync(this.path, { recursive: true }));
  }

  /** Writes a file below it (objects as JSON) and returns its path. */
  write(name: string, content: string | object): string {
    const file = join(this.path, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
    return file;
  }

  /** Removes all that is in it. */
  clear(): void {
    for (const name of readdirSync(this.path)) rmSync(join(this.path, name), { recursive: true });
  }
}
