// A container image as one file that every engine loads (OCI image layout 1.0 in a tar archive), made without a daemon.
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { tar, type TarEntry } from "./tar.ts";

export interface ImageOptions {
  /** Full name with tag: "registry.example/polynic:1". */
  readonly name: string;
  /** "amd64", "arm64". */
  readonly architecture: string;
  /** From the lowest up; each is the entries of its files. */
  readonly layers: readonly (readonly TarEntry[])[];
  /** The image's `config`: Cmd, Entrypoint, Env, User, Labels. */
  readonly config: Readonly<Record<string, unknown>>;
}

const layoutMediaType = "application/vnd.oci.image";

interface Blob {
  readonly digest: string;
  readonly bytes: Uint8Array;
}

/** The bytes of the archive; `ctr images import`, `podman load`, `skopeo copy oci-archive:` and `docker load` take it. */
export function imageArchive(options: ImageOptions): Uint8Array {
  const layers = options.layers.map((entries) => {
    const plain = tar(entries);
    return { plain: blob(plain), packed: blob(gzipSync(plain, { level: 6 })) };
  });
  const config = jsonBlob({
    architecture: options.architecture,
    os: "linux",
    created: "1970-01-01T00:00:00Z",
    config: options.config,
    rootfs: { type: "layers", diff_ids: layers.map(({ plain }) => plain.digest) },
  });
  const manifest = jsonBlob({
    schemaVersion: 2,
    mediaType: `${layoutMediaType}.manifest.v1+json`,
    config: descriptor(`${layoutMediaType}.config.v1+json`, config),
    layers: layers.map(({ packed }) => descriptor(`${layoutMediaType}.layer.v1.tar+gzip`, packed)),
  });
  const index = jsonBlob({
    schemaVersion: 2,
    mediaType: `${layoutMediaType}.index.v1+json`,
    manifests: [
      {
        ...descriptor(`${layoutMediaType}.manifest.v1+json`, manifest),
        platform: { os: "linux", architecture: options.architecture },
        annotations: {
          // The first is what containerd names the image by, the second what the layout itself defines.
          "io.containerd.image.name": options.name,
          "org.opencontainers.image.ref.name": options.name.slice(options.name.lastIndexOf(":") + 1),
        },
      },
    ],
  });
  const blobs = [...layers.map(({ packed }) => packed), config, manifest];
  return tar([
    { kind: "file", path: "oci-layout", content: new TextEncoder().encode('{"imageLayoutVersion":"1.0.0"}') },
    { kind: "file", path: "index.json", content: index.bytes },
    { kind: "folder", path: "blobs" },
    { kind: "folder", path: "blobs/sha256" },
    ...blobs.map(({ digest, bytes }): TarEntry => ({
      kind: "file",
      path: `blobs/${digest.replace(":", "/")}`,
      content: bytes,
    })),
  ]);
}

function blob(bytes: Uint8Array): Blob {
  return { digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}`, bytes };
}

function jsonBlob(value: object): Blob {
  return blob(new TextEncoder().encode(JSON.stringify(value)));
}

function descriptor(mediaType: string, { digest, bytes }: Blob): object {
  return { mediaType, digest, size: bytes.length };
}
