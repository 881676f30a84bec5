import { CniError, code } from "../../cni/error.ts";
import { SystemError } from "../../libc/errno.ts";
import { makeDirectories, readTextIfExists, statusOf, writeFile } from "../../libc/file.ts";
import type { Logger } from "../../log/logger.ts";
import type { Ipvlan } from "../../rtnl/kinds/ipvlan.ts";
import { type Link, listLinks } from "../../rtnl/link.ts";
import type { MasterPlace } from "../common/master.ts";
import { withNetnsLock } from "../common/netns-lock.ts";
import type { findOccupants } from "../common/occupants.ts";

// All ipvlans of a master have one mode and one flag, and each new one sets them for all (ipvlan_link_new() in
// drivers/net/ipvlan/ipvlan_main.c): pods that run for weeks would lose their network to another network's config. The kernel tells the
// mode of an ipvlan, wherever that is, but not that of a master. So the one that was set last is remembered, and only when another is wanted all
// namespaces are searched for an ipvlan that has it still.

const memory = "/run/polynic/ipvlan";

/** What all ipvlans of a master have in common. */
type Shared = Required<Pick<Ipvlan, "mode" | "flag">>;

/**
 * Runs `create`, which makes an ipvlan of that mode and flag on `master`, unless the master carries ipvlans of another: then `CniError`
 * code 7 names one of them. Others that make ipvlans on the node wait meanwhile.
 */
export async function createInMode(
  place: MasterPlace,
  master: Link,
  wanted: Shared,
  log: Logger,
  create: () => Link,
): Promise<Link> {
  if (master.data?.kind === "ipvlan") {
    // The new one will be its sibling.
    refuseOther(master.data, wanted, master, "the master itself");
    return create();
  }
  if (place.isPod) {
    const sibling = listLinks(place.netns.rtnl).find(
      ({ kind, parent }) => kind === "ipvlan" && parent === master.index,
    );
    if (sibling !== undefined) refuseOther(sibling.data, wanted, master, `interface ${sibling.name} of this pod`);
    return create();
  }
  let search: typeof findOccupants | undefined;
  for (;;) {
    const link = createIfKnown(place, master, wanted, log, create, search);
    if (link !== undefined) return link;
    ({ findOccupants: search } = await import("../common/occupants.ts"));
  }
}

/** As `createInMode`; undefined, with nothing done, where a search is needed and `search` is not loaded yet. */
function createIfKnown(
  place: MasterPlace,
  master: Link,
  wanted: Shared,
  log: Logger,
  create: () => Link,
  search: typeof findOccupants | undefined,
): Link | undefined {
  return withNetnsLock(place.netns, () => {
    const file = `${memory}/${statusOf(place.netns.fd).inode}-${master.index}`;
    if (readTextIfExists(file) === wordsOf(wanted)) return create();
    if (search === undefined) return undefined;
    const [sibling] = search(place, master, ({ kind }) => kind === "ipvlan", 1);
    if (sibling !== undefined) refuseOther(sibling.link.data, wanted, master, sibling.description);
    const link = create();
    remember(file, wordsOf(wanted), log);
    return link;
  });
}

function refuseOther(found: Link["data"], wanted: Shared, master: Link, holder: string): void {
  if (found?.kind !== "ipvlan" || found.mode === undefined) return;
  const has = { mode: found.mode, flag: found.flag ?? wanted.flag };
  if (wordsOf(has) === wordsOf(wanted)) return;
  throw new CniError(
    code.invalidConfig,
    `failed to create ipvlan: ${master.name} carries ipvlans of ${wordsOf(has)} (${holder}), and one of ${wordsOf(wanted)} would change them all; use the same mode and flag for all networks on ${master.name}, or another master (a VLAN of ${master.name} is one)`,
  );
}

function wordsOf({ mode, flag }: Shared): string {
  return `mode ${mode} ${flag}`;
}

/** Without a memory every ADD searches: slower, and no worse. */
function remember(file: string, words: string, log: Logger): void {
  try {
    makeDirectories(memory);
    writeFile(file, words);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    log.debug(`the mode of ipvlans can't be remembered: ${error.message}`);
  }
}
