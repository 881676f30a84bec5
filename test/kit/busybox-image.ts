// The one image that pods of tests run: a static busybox and nothing else, made here, so that no registry is needed.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { imageArchive } from "../../tools/oci/image.ts";
import type { TarEntry } from "../../tools/oci/tar.ts";
import { busybox, findProgram } from "./debian-program.ts";

/** Name under which pods ask for it; containerd also starts sandboxes from it. */
export const busyboxImage = "registry.test/busybox:1";

const applets = ["cat", "httpd", "ip", "ls", "mkdir", "nc", "ping", "sh", "sleep", "wget"];

/** Writes the image's archive into a folder and returns its path. */
export function writeBusyboxImage(folder: string): string {
  const program = findProgram(busybox);
  if (program === undefined) throw new Error("busybox is not there: `npm test -- cri` gets it");
  const entries: TarEntry[] = [
    ...["bin", "etc", "root"].map((path): TarEntry => ({ kind: "folder", path })),
    { kind: "folder", path: "tmp", mode: 0o1777 },
    { kind: "file", path: "bin/busybox", content: readFileSync(program), mode: 0o755 },
    ...applets.map((name): TarEntry => ({ kind: "link", path: `bin/${name}`, target: "busybox" })),
  ];
  const path = join(folder, "busybox.tar");
  const architecture = process.arch === "arm64" ? "arm64" : "amd64";
  // As a sandbox's own container it has nothing to do but to be there.
  const config = { Cmd: ["/bin/sleep", "2147483647"], Env: ["PATH=/bin"] };
  writeFileSync(path, imageArchive({ name: busyboxImage, architecture, layers: [entries], config }));
  return path;
}
