import { CniError } from "../../cni/error.ts";
import type { ResultIp } from "../../cni/result.ts";
import { equalIp, formatIp, type Ip } from "../../ip/address.ts";
import type { Netns } from "../../netns/netns.ts";
import { listAddresses } from "../../rtnl/address.ts";
import type { Link } from "../../rtnl/link.ts";
import { explainBusyMaster } from "../common/busy-master.ts";
import { explain } from "../common/explain.ts";
import { missingKind } from "../common/kernel-kind.ts";
import { isEthernet, takenName } from "../common/link-facts.ts";
import type { MasterPlace } from "../common/master.ts";
import { findOccupants } from "../common/occupants.ts";

/** A refused creation as the `CniError` that says what is in the way. */
export function explainCreation(
  error: unknown,
  place: MasterPlace,
  master: Link,
  pod: Netns,
  ifName: string,
): CniError {
  const { name } = master;
  return explain("failed to create ipvlan", error, {
    EEXIST: takenName(pod, ifName),
    EBUSY: () => explainBusyMaster(place, master),
    EINVAL: isEthernet(master)
      ? `${name} can't be the master of an ipvlan`
      : `${name} is no Ethernet device, which the master of an ipvlan has to be`,
    ENODEV: `master ${name} is gone since it was looked up`,
    EOPNOTSUPP: missingKind("ipvlan"),
    // ENOTSUPP of include/linux/errno.h: built without CONFIG_IPVLAN_L3S.
    E524: 'this kernel has no ipvlans of mode l3s; use "mode": "l3"',
  });
}

/** A refused address with the ipvlan that has it: the kernel lets none be on two ipvlans of one master. */
export function explainTakenAddress(
  refusal: CniError,
  place: MasterPlace,
  master: Link,
  ips: readonly ResultIp[],
): CniError {
  const found: Ip[] = [];
  const [holder] = findOccupants(
    place,
    master,
    (link, netns) => {
      if (link.kind !== "ipvlan") return false;
      const held = listAddresses(netns.rtnl, { device: link }).map(({ prefix }) => prefix.ip);
      found.push(...held.filter((ip) => ips.some(({ address }) => equalIp(address.ip, ip))));
      return found.length > 0;
    },
    1,
  );
  const [ip] = found;
  const who =
    holder === undefined || ip === undefined
      ? `another ipvlan on ${master.name} has this address`
      : `${holder.description}, on ${master.name} too, has ${formatIp(ip)}`;
  const cure = "no two ipvlans of one master can have the same address: free it there, or keep it from the IPAM plugin";
  return new CniError(refusal.code, `${refusal.message}; ${who}; ${cure}`, refusal.details, { cause: refusal.cause });
}
