// `polynic install --watch` beside a folder of credentials that is rotated as kubelet does it: all at once, by a link
// (pkg/volume/util/atomic_writer.go).
import {
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { polynicBin } from "../kit/cni-caller.ts";
import { type Daemon, endDaemons, startDaemon, waitForDaemons } from "../kit/daemon.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { searchPath } from "../kit/packages.ts";

const rotations = 5;
const patienceMs = 60_000;
const folder = useTemporaryFolder();
const path = (...names: string[]): string => join(folder().path, ...names);
const read = (...names: string[]): string => readFileSync(path(...names), "utf8");
/** As long as real ones. */
const tokenOf = (rotation: number): string => `token-${rotation}.${"x".repeat(1200)}.end`;
const authorityOf = (rotation: number): string => `authority ${rotation}`;

/** One version of the folder's content; its files are links through the link `..data`, which is replaced. */
function rotate(rotation: number): void {
  const version = `..2026_11_21_20_00_00.${rotation}`;
  mkdirSync(path("account", version));
  writeFileSync(path("account", version, "token"), tokenOf(rotation));
  writeFileSync(path("account", version, "ca.crt"), authorityOf(rotation));
  const old = rotation === 0 ? undefined : readlinkSync(path("account", "..data"));
  symlinkSync(version, path("account", "..data_tmp"));
  renameSync(path("account", "..data_tmp"), path("account", "..data"));
  if (old !== undefined) rmSync(path("account", old), { recursive: true });
}

function startWatch(): Daemon {
  const folders = ["--cni-bin-dir", path("bin"), "--cni-conf-dir", path("net.d"), "--service-account", path("account")];
  return startDaemon({
    folder: folder().path,
    name: "watch",
    command: [join(polynicBin, "polynic"), "install", "--watch", "--skip-multus-binary-copy", ...folders],
    env: { PATH: searchPath, KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" },
  });
}

beforeEach(() => {
  mkdirSync(path("account"));
  rotate(0);
  for (const name of ["token", "ca.crt"]) symlinkSync(join("..data", name), path("account", name));
  folder().write("net.d/10-primary.conflist", { cniVersion: "1.0.0", name: "primary", plugins: [{ type: "bridge" }] });
});

test("token and kubeconfig follow each rotation, whole at every moment, for root only", async () => {
  const watch = startWatch();
  try {
    const token = (): string => read("net.d/multus.d/token");
    const kubeconfig = (): string => read("net.d/multus.d/multus.kubeconfig");
    await waitForDaemons([watch], patienceMs, async () => read("watch.log").includes("as the default network"));
    expect(token()).toBe(tokenOf(0));
    for (let rotation = 1; rotation <= rotations; rotation++) {
      rotate(rotation);
      await waitForDaemons([watch], patienceMs, async () => {
        expect([tokenOf(rotation - 1), tokenOf(rotation)]).toContain(token());
        return token() === tokenOf(rotation) && kubeconfig().includes(btoa(authorityOf(rotation)));
      });
      for (const name of ["token", "multus.kubeconfig"])
        expect(statSync(path("net.d/multus.d", name)).mode & 0o777).toBe(0o600);
    }
  } finally {
    await endDaemons([watch], "SIGTERM");
  }
});
