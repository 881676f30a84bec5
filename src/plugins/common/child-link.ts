import type { Netns } from "../../netns/netns.ts";
import { createLink, getLink, type Link, requireLink } from "../../rtnl/link.ts";
import { addLink, type LinkSpec, setLink } from "../../rtnl/link-change.ts";
import type { UndoScope } from "../../undo/undo.ts";
import { errnoOf } from "./explain.ts";
import type { MasterPlace } from "./master.ts";
import { deleteIfExists } from "./remove-link.ts";

/**
 * Makes a link (macvlan, ipvlan, vlan …) that stands on a master in `place`, in the pod and under its final name, still down, and returns
 * it; `undo` gets its deletion. `spec.parent` is the master's index. Throws the kernel's refusal as it is: EEXIST may mean the name.
 */
export function createChild(place: MasterPlace, pod: Netns, spec: LinkSpec, undo: UndoScope): Link {
  return place.isPod ? createBeside(pod, spec, undo) : createAcross(place.netns, pod, spec, undo);
}

/** True when `link` stands on `master`: on the device below it where the kernel puts a link of the master's own kind. */
export function standsOn(link: Link, master: Link): boolean {
  return link.parent === (master.kind === link.kind && isFlat(master.kind) ? master.parent : master.index);
}

/** Kinds that the kernel never stacks: one made on another of them becomes its sibling. */
function isFlat(kind: string): boolean {
  return kind === "macvlan" || kind === "ipvlan";
}

/** Master and link are both in the pod. */
function createBeside(pod: Netns, spec: LinkSpec, undo: UndoScope): Link {
  const link = createLink(pod.rtnl, spec);
  undo.push(`link ${spec.name}`, () => deleteIfExists(pod, spec.name));
  return link;
}

/** The master is in `home`, and the link is born in the pod. */
function createAcross(home: Netns, pod: Netns, spec: LinkSpec, undo: UndoScope): Link {
  try {
    home.rtnl.run(addLink({ ...spec, netnsFd: pod.fd.number }));
  } catch (error) {
    if (errnoOf(error) !== "EEXIST" || getLink(pod.rtnl, spec.name) !== undefined) throw error;
    return createRenamed(home, pod, spec, undo);
  }
  undo.push(`link ${spec.name}`, () => deleteIfExists(pod, spec.name));
  return requireLink(pod.rtnl, spec.name);
}

/**
 * Kernels before 6.13 look for the new name in the namespace of the socket instead of the one that the link is for: on a node with an
 * "eth0", no "eth0" can be born in a pod. There it gets a name that nobody has, and then its own.
 */
function createRenamed(home: Netns, pod: Netns, spec: LinkSpec, undo: UndoScope): Link {
  const name = `new${crypto.getRandomValues(new Uint8Array(5)).toHex()}`;
  home.rtnl.run(addLink({ ...spec, name, netnsFd: pod.fd.number }));
  undo.push(`link ${spec.name} under its first name`, () => deleteIfExists(pod, name));
  const link = requireLink(pod.rtnl, name);
  pod.rtnl.run(setLink(link, { name: spec.name }));
  undo.push(`link ${spec.name}`, () => deleteIfExists(pod, spec.name));
  return { ...link, name: spec.name };
}
