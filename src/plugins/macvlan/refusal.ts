import type { CniError } from "../../cni/error.ts";
import { formatMac } from "../../ip/mac.ts";
import type { Netns } from "../../netns/netns.ts";
import type { Link } from "../../rtnl/link.ts";
import { explainBusyMaster } from "../common/busy-master.ts";
import { explain } from "../common/explain.ts";
import { isEthernet, takenName } from "../common/link-facts.ts";
import type { MasterPlace } from "../common/master.ts";
import type { MacvlanConfig } from "./config.ts";

/** A refused creation as the `CniError` that says what is in the way. */
export function explainCreation(
  error: unknown,
  place: MasterPlace,
  master: Link,
  pod: Netns,
  { mode, mac }: MacvlanConfig,
  ifName: string,
): CniError {
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
