// Where the lanes that touch the kernel run: namespaces of their own, so that nothing they do, or leave when killed, is the machine's.
import { spawnSync } from "node:child_process";
import { searchPath } from "./packages.ts";

// The folders that CNI programs keep state in. Fresh ones also make the lane work for an ordinary user, who may write to none of them. The
// machine's system is read-only: whatever a test does by mistake, down to removing what it has mounted from there, the kernel refuses.
const script = `set -e
for folder in /boot /etc /opt /srv /usr; do
  test ! -d "$folder" || { mount --bind "$folder" "$folder"; mount -o remount,bind,ro "$folder"; }
done
for folder in /run /var/lib /var/log; do mount -t tmpfs -o mode=0755 polynic-test "$folder"; done
ip link set lo up
exec "$@"`;

/** `network`: a network and state folders of its own. `node`: processes of its own too, which end with it: what container runtimes need. */
export type Isolation = "network" | "node";

/**
 * The command line that runs `command` with a network, and /run, /var/lib and /var/log, of its own, and a system that it can only read
 * (unshare(1)); as root inside a user namespace when the caller is not root. All of it vanishes with the last process in it.
 */
export function isolated(command: readonly string[], isolation: Isolation = "network"): string[] {
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  const processes = isolation === "node" ? ["--pid", "--fork", "--kill-child", "--mount-proc"] : [];
  const namespaces = ["--net", "--mount", ...processes, "--propagation", "private"];
  return ["unshare", ...user, ...namespaces, "sh", "-c", script, "sh", ...command];
}

/** Why this machine cannot carry kernel tests, or undefined when it can: tried, not guessed. */
export function isolationProblem(): string | undefined {
  const [command = "", ...args] = isolated(["ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1"]);
  const done = spawnSync(command, args, { encoding: "utf8", env: { ...process.env, PATH: searchPath } });
  if (done.status === 0) return undefined;
  const cause = `${done.stderr ?? ""}${done.error?.message ?? ""}`.trim().split("\n").at(-1) ?? "";
  return `needs root or a user namespace with network rights: ${cause}`;
}
