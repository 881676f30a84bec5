import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { removeTree } from "./remove-tree.ts";

/** A folder that goes, with all that is in it, when it goes out of scope (`using`); see `removeTree`. */
export interface TemporaryFolder extends Disposable {
  readonly path: string;
  /** Writes a file below the folder (missing folders are made) and returns its full path. Objects are written as JSON. */
  write(name: string, content: string | object): string;
}

/** Makes a fresh folder under the machine's temporary folder. */
export function temporaryFolder(): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), "polynic-test-"));
  return {
    path,
    write(name, content) {
      const file = join(path, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
      return file;
    },
    [Symbol.dispose]: () => removeTree(path),
  };
}
