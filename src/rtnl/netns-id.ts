import { request } from "../netlink/message.ts";
import { openBody } from "./body.ts";
import { NETNSA_FD, NETNSA_NSID, RTM_GETNSID } from "./constants.ts";
import type { Rtnl } from "./rtnl.ts";

/** sizeof(struct rtgenmsg), with what aligns the attributes behind it. */
const rtgenmsgBytes = 4;

/**
 * The number by which the namespace of `rtnl` knows the one behind the descriptor `netnsFd`: what `Link.parentNetnsId` counts in. Undefined
 * when it knows no number for it, and so has no link that stands on a device there.
 */
export function netnsIdOf(rtnl: Rtnl, netnsFd: number): number | undefined {
  const query = request("get id of network namespace", RTM_GETNSID, 0, (body) => {
    body.struct(rtgenmsgBytes);
    body.u32(NETNSA_FD, netnsFd);
  });
  const { attributes } = openBody(rtnl.get(query), rtgenmsgBytes, query.label);
  let id: number | undefined;
  while (attributes.next()) if (attributes.type === NETNSA_NSID) id = attributes.i32();
  attributes.finish(query.label);
  // NETNSA_NSID_NOT_ASSIGNED
  return id === undefined || id < 0 ? undefined : id;
}
