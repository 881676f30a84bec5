import type { CniError } from "../../cni/error.ts";
import { formatMac } from "../../ip/mac.ts";
import type { Netns } from "../../netns/netns.ts";
import { isNetlinkError } from "../../netlink/error.ts";
import type { Link } from "../../rtnl/link.ts";
import { explainBusyMaster } from "../common/busy-master.ts";
import { explain } from "../common/explain.ts";
import { isEthernet, takenName } from "../common/link-facts.ts";
import type { MasterPlace } from "../common/master.ts";
import { findOccupants } from "../common/occupants.ts";
import { createAfterTeardown } from "../common/teardown.ts";
import type { MacvlanConfig } from "./config.ts";

/** The macvlan that the kernel refused to make. */
export interface Wanted {
  readonly place: MasterPlace;
  readonly master: Link;
  readonly pod: Netns;
  readonly ifName: string;
  readonly config: MacvlanConfig;
}

/**
 * What to do about `error`, with which `create` failed: a rival for the master that is in no namespace to be seen may be on its way out with
 * its pod's, and then it is tried again for 2 s. Throws `CniError` with what is in the way.
 */
export function overcome(error: unknown, wanted: Wanted, create: () => Link): Link {
  const explainRefusal = (refusal: unknown) => explainCreation(refusal, wanted);
  return createAfterTeardown(
    error,
    create,
    (refusal) => (isAboutRivals(refusal, wanted) && !hasRival(wanted) ? undefined : explainRefusal(refusal)),
    explainRefusal,
  );
}

/** macvlan_common_newlink() in drivers/net/macvlan.c says EINVAL, and no word more, when just one of those on a master can be passthru. */
function isAboutRivals(refusal: unknown, { master }: Wanted): boolean {
  return isNetlinkError(refusal, "EINVAL") && refusal.kernelText === undefined && isEthernet(master);
}

function hasRival({ place, master, config }: Wanted): boolean {
  const isRival = ({ kind, data }: Link): boolean => {
    // Of a macvtap the mode is not known here.
    if (kind === "macvtap") return true;
    return data?.kind === "macvlan" && (config.mode === "passthru" || data.mode === "passthru");
  };
  return findOccupants(place, master, isRival, 1).length > 0;
}

/** A refused creation as the `CniError` that says what is in the way. */
function explainCreation(error: unknown, { place, master, pod, ifName, config: { mode, mac } }: Wanted): CniError {
  const { name } = master;
  const rival =
    mode === "passthru"
      ? `${name} carries other macvlans, and passthru wants it for itself`
      : `a macvlan in mode passthru has ${name} for itself`;
  return explain("failed to create macvlan", error, {
    EEXIST: takenName(pod, ifName),
    EBUSY: () => explainBusyMaster(place, master),
    EINVAL: isEthernet(master) ? rival : `${name} is no Ethernet device, which the master of a macvlan has to be`,
    ENODEV: `master ${name} is gone since it was looked up`,
    EADDRNOTAVAIL: `no device can have the MAC ${formatMac(mac ?? master.mac)}`,
    EOPNOTSUPP: "this kernel has no macvlan; try `modprobe macvlan` on the node",
  });
}
