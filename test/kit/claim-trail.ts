// Who took a claim on an address away, by the API server's own account: its audit log with the bodies of requests and answers.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ApiServerFacts } from "./api-server.ts";

/** The group whose bodies the log has to have: `auditedGroups` of the server's options. */
export const claimsGroup = "whereabouts.cni.cncf.io";

interface Line {
  readonly stage: string;
  readonly verb: string;
  readonly userAgent?: string;
  readonly user?: { readonly username?: string };
  readonly stageTimestamp: string;
  readonly objectRef?: { readonly resource?: string; readonly name?: string };
  readonly requestObject?: { readonly spec?: { readonly podref?: string } };
  readonly responseStatus?: { readonly code?: number };
  readonly responseObject?: {
    readonly kind?: string;
    readonly metadata?: { readonly name?: string; readonly uid?: string };
    readonly details?: { readonly uid?: string };
  };
}

/** A reservation that was made for an address, and how it ended. */
export interface Held {
  readonly podref: string;
  /** Undefined while it stands, or is only marked for deletion: a finalizer holds it. */
  readonly removal?: {
    /** The account that asked for it, and its program: "whereabouts ip-reconciler". */
    readonly by: string;
    /** RFC 3339. */
    readonly at: string;
  };
}

/** The reservations of an address from the first one on: each was made when the one before it was gone. */
export function trailOf(api: ApiServerFacts, address: string): Held[] {
  const lines = linesAboutReservations(api);
  const found: Held[] = [];
  for (const { verb, requestObject, responseObject, responseStatus } of lines) {
    if (verb !== "create" || responseStatus?.code !== 201 || responseObject?.metadata?.name !== address) continue;
    const podref = requestObject?.spec?.podref ?? "";
    // The answer to a deletion that a finalizer holds up is the object; to one that is done, a status that names its uid.
    const removal = lines.find(
      (line) =>
        line.verb === "delete" &&
        line.responseObject?.kind === "Status" &&
        line.responseObject.details?.uid === responseObject.metadata?.uid,
    );
    found.push(
      removal === undefined ? { podref } : { podref, removal: { by: actorOf(removal), at: removal.stageTimestamp } },
    );
  }
  return found;
}

function actorOf({ user, userAgent = "" }: Line): string {
  return `${user?.username?.split(":").at(-1) ?? ""} ${userAgent.split(/[/ ]/)[0] ?? ""}`;
}

function linesAboutReservations(api: ApiServerFacts): Line[] {
  const found: Line[] = [];
  // What is behind the last end of a line is being written.
  for (const text of readFileSync(join(api.folder, "audit.log"), "utf8").split("\n").slice(0, -1)) {
    // Most lines are about something else, and long.
    if (!text.includes('"stage":"ResponseComplete"') || !text.includes("overlappingrangeipreservations")) continue;
    const line = JSON.parse(text) as Line;
    if (line.objectRef?.resource === "overlappingrangeipreservations") found.push(line);
  }
  return found;
}
