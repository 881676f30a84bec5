// A folder as kubelet keeps that of a mounted ConfigMap: files are links into ..data, a link to the newest folder, which is put in place by a rename.
import { mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export class ConfigMapVolume {
  #generation = 0;

  private constructor(readonly path: string) {}

  /** `path` does not exist yet. */
  static make(path: string, data: Readonly<Record<string, string>>): ConfigMapVolume {
    mkdirSync(path, { recursive: true });
    const volume = new ConfigMapVolume(path);
    volume.update(data);
    for (const name of Object.keys(data)) symlinkSync(join("..data", name), join(path, name));
    return volume;
  }

  /** What kubelet does within a minute of a change of the ConfigMap; the keys stay the same. */
  update(data: Readonly<Record<string, string>>): void {
    const old = this.#generation === 0 ? undefined : readlinkSync(join(this.path, "..data"));
    const folder = `..2026_01_01_00_00_00.${this.#generation++}`;
    mkdirSync(join(this.path, folder));
    for (const [name, content] of Object.entries(data)) writeFileSync(join(this.path, folder, name), content);
    symlinkSync(folder, join(this.path, "..data_tmp"));
    renameSync(join(this.path, "..data_tmp"), join(this.path, "..data"));
    if (old !== undefined) rmSync(join(this.path, old), { recursive: true });
  }
}
