// `npm run image [-- NAME [FILE]]`: the container image as one file (OCI layout in a tar archive), made without a daemon. Below the
// executable lies the glibc of this machine; deploy/Dockerfile takes a distroless image's.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { imageNames } from "../cmd/aliases.ts";
import { imageArchive } from "./oci/image.ts";
import type { TarEntry } from "./oci/tar.ts";

/** What manifests call `polynic:latest`, in full: containerd takes an archive's image under no other name, and would then look for it in vain. */
export const imageName = "docker.io/library/polynic:latest";

const root = join(import.meta.dirname, "..");
const executable = join(root, "dist", "polynic");
/** Nobody's, as distroless images have it. */
const nonRoot = 65_532;

/** The bytes of the image's archive. The executable is built. */
export function polynicImage(name: string): Uint8Array {
  const users = `root:x:0:0::/:/nologin\nnonroot:x:${nonRoot}:${nonRoot}::/:/nologin\n`;
  const glibc = libraries().map((path): TarEntry => file(path.slice(1), readFileSync(realpathSync(path)), 0o755));
  const folders = new Set(glibc.flatMap(({ path }) => parents(path)));
  return imageArchive({
    name,
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    layers: [
      [
        ...[...folders, "etc"].toSorted().map((path): TarEntry => ({ kind: "folder", path })),
        { kind: "folder", path: "tmp", mode: 0o1777 },
        file("etc/passwd", new TextEncoder().encode(users)),
        ...glibc,
      ],
      [
        file("polynic", readFileSync(executable), 0o755),
        // Not for this image itself: `install` puts it on nodes whose system is built on musl.
        file("polynic-musl", readFileSync(`${executable}-musl`), 0o755),
        ...imageNames.map((path): TarEntry => ({ kind: "link", path, target: "polynic" })),
      ],
    ],
    config: { Entrypoint: ["/polynic"], User: `${nonRoot}:${nonRoot}`, Env: ["PATH=/"], WorkingDir: "/" },
  });
}

/** The loader and the libraries that ldd(1) finds for the executable. */
function libraries(): string[] {
  const { stdout } = spawnSync("ldd", [executable], { encoding: "utf8" });
  return stdout.split("\n").flatMap((line) => /(\/\S+) \(0x/.exec(line)?.[1] ?? []);
}

function parents(path: string): string[] {
  const folder = dirname(path);
  return folder === "." ? [] : [...parents(folder), folder];
}

function file(path: string, content: Uint8Array, mode = 0o644): TarEntry {
  return { kind: "file", path, content, mode };
}

function main(name = imageName, path = join(root, "dist", "polynic-image.tar")): void {
  // For deploy/Dockerfile, whose base has no shell to make links by.
  const links = join(root, "dist", "image-links");
  rmSync(links, { recursive: true, force: true });
  mkdirSync(links, { recursive: true });
  for (const each of imageNames) symlinkSync("polynic", join(links, each));
  writeFileSync(path, polynicImage(name));
  process.stderr.write(`polynic: wrote ${path}\n`);
}

if (import.meta.main) main(...process.argv.slice(2));
