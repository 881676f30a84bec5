import { CniError, code } from "../../cni/error.ts";
import type { Netns } from "../../netns/netns.ts";
import { getLink, type Link } from "../../rtnl/link.ts";
import { errnoOf, explain } from "../common/explain.ts";
import { hasKind, missingKind } from "../common/kernel-kind.ts";
import { takenName } from "../common/link-facts.ts";
import { type MasterPlace, whereIs } from "../common/master.ts";
import { findOccupants, type Occupant } from "../common/occupants.ts";
import { createAfterTeardown } from "../common/teardown.ts";

/** The VLAN that the kernel refused to make. */
export interface Wanted {
  readonly place: MasterPlace;
  readonly master: Link;
  readonly pod: Netns;
  readonly ifName: string;
  readonly id: number;
  readonly mtu: number;
}

/** IFNAMSIZ - 1 */
const nameBytesMax = 15;
const operation = "failed to create vlan";

/**
 * What to do about `error`, with which `create` failed: a VLAN id that is taken, although no namespace to be seen has it, is tried again for
 * 2 s. Throws `CniError` with the cause and its cures.
 */
export function overcome(error: unknown, wanted: Wanted, create: () => Link): Link {
  return createAfterTeardown(
    error,
    create,
    (refusal) => {
      if (errnoOf(refusal) !== "EEXIST" || getLink(wanted.pod.rtnl, wanted.ifName) !== undefined)
        return explainCreation(refusal, wanted);
      const [holder] = findHolder(wanted);
      return holder && explain(operation, refusal, { EEXIST: takenId(wanted, holder) });
    },
    (refusal) => invisible(refusal, wanted),
  );
}

function findHolder({ place, master, id }: Wanted): Occupant[] {
  return findOccupants(place, master, ({ data }) => data?.kind === "vlan" && data.id === id, 1);
}

/** The classic of this plugin: one VLAN device for each master and id, in all namespaces together. */
function takenId({ master, id }: Wanted, { link, description }: Occupant): string {
  const isBesideMaster = link.parentNetnsId === undefined;
  const share = isBesideMaster
    ? `let the network be of type macvlan or ipvlan with master ${link.name}, which pods can share`
    : `to share it between pods, make it a device of the node (ip link add link ${master.name} name ${deviceName(master, id)} type vlan id ${id}) and let the network be of type macvlan or ipvlan with master ${deviceName(master, id)}`;
  return `VLAN ${id} of ${master.name} is taken by ${description}, and there can be only one; ${share}; or use another vlanId`;
}

/** As it is usually called, where that is no longer than a name may be. */
function deviceName({ name }: Link, id: number): string {
  const usual = `${name}.${id}`;
  return usual.length <= nameBytesMax ? usual : `vlan${id}`;
}

function invisible(cause: unknown, { master, id }: Wanted): CniError {
  const { message, details } = explain(operation, cause, {
    EEXIST: `VLAN ${id} of ${master.name} is taken in a network namespace that can't be seen from here; use another vlanId, or find it with lsns -t net`,
  });
  return new CniError(code.tryAgainLater, message, details, { cause });
}

function explainCreation(error: unknown, { place, master, pod, ifName, mtu }: Wanted): CniError {
  const { name } = master;
  return explain(operation, error, {
    EEXIST: takenName(pod, ifName),
    EINVAL:
      mtu === 0
        ? `${name} can't carry VLANs`
        : `${name} has to carry the tag besides an MTU of ${mtu}; try ${master.mtu - 4}`,
    ENODEV: `master ${name} is gone since it was looked up`,
    EOPNOTSUPP: () =>
      hasKind(place.netns, { kind: "vlan", id: 1 })
        ? `${name} ${whereIs(place)} can't carry VLANs`
        : missingKind("vlan"),
  });
}
