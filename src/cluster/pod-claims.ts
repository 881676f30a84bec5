import { array, decode, optional, struct, text } from "../json/struct.ts";
import type { JsonObject } from "../json/value.ts";
import type { PodClaim } from "./port.ts";

/**
 * The claims (dynamic resource allocation) that a pod's status names: those of its spec, and the one that is made for resources which a
 * device plugin used to have (`extendedResourceClaimStatus`). None for a pod without; throws `JsonError` for another shape.
 */
export function claimsOf(status: JsonObject): readonly PodClaim[] {
  if (status["resourceClaimStatuses"] === undefined && status["extendedResourceClaimStatus"] === undefined) return [];
  const { resourceClaimStatuses, extendedResourceClaimStatus: extended } = decode(statusSchema(), status, "$.status");
  return [
    ...resourceClaimStatuses.map(({ resourceClaimName: name }) => ({ name, resources: new Map<string, string>() })),
    ...(extended === undefined ? [] : [{ name: extended.resourceClaimName, resources: mappedResources(extended) }]),
  ].filter(({ name }) => name !== "");
}

// A function, so that it is only made where a pod has claims.
const statusSchema = () =>
  struct({
    // A claim that was not needed in the end has no name.
    resourceClaimStatuses: optional(array(struct({ resourceClaimName: optional(text(), "") })), []),
    extendedResourceClaimStatus: optional(
      struct({
        resourceClaimName: text(),
        requestMappings: optional(array(struct({ resourceName: text(), requestName: text() })), []),
      }),
    ),
  });

function mappedResources({
  requestMappings,
}: {
  readonly requestMappings: readonly { readonly requestName: string; readonly resourceName: string }[];
}): Map<string, string> {
  return new Map(requestMappings.map(({ requestName, resourceName }) => [requestName, resourceName]));
}
