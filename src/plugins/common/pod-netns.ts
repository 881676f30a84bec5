import { CniError, code } from "../../cni/error.ts";
import { NetnsError } from "../../netns/error.ts";
import type { Netns } from "../../netns/netns.ts";
import type { NetnsRef } from "../../netns/ref.ts";

const causes = {
  missing: "the runtime has removed it already, or this process does not see the runtime's mounts",
  "not-a-netns":
    "the namespace is no longer mounted there, or its mount does not propagate to this process: a container needs the folder with mountPropagation HostToContainer",
  unusable: "run as root, in a container as privileged",
} as const;

/** The pod's namespace for a verb that can't do without it. Throws `CniError` code 8 with the likely cause in its details. */
export function openPod(netns: NetnsRef): Netns {
  try {
    return netns.open();
  } catch (error) {
    if (!(error instanceof NetnsError)) throw error;
    throw new CniError(
      code.invalidNetns,
      `failed to open netns "${netns.path}": ${error.message}`,
      causes[error.code],
      {
        cause: error,
      },
    );
  }
}
