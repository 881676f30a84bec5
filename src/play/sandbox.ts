import { createNetns, deleteNetns } from "../netns/pin.ts";
import { setLink } from "../rtnl/link-change.ts";

const containerIdBytes = 32;

/** An id as container runtimes make them: 64 hexadecimal digits, never the same twice. */
export function newContainerId(): string {
  return crypto.getRandomValues(new Uint8Array(containerIdBytes)).toHex();
}

/**
 * Makes a pod's network namespace as a runtime hands it to CNI: pinned at `path`, empty but for loopback, which is up. Nothing stays
 * behind when it fails.
 */
export function createSandbox(path: string): void {
  using netns = createNetns(path);
  try {
    netns.rtnl.run(setLink("lo", { up: true }));
  } catch (error) {
    deleteNetns(path);
    throw error;
  }
}
