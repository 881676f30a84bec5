import { afterAll, beforeAll, inject } from "vitest";
import { ApiProxy, type Mischief } from "../kit/api-proxy.ts";
import type { ApiSite } from "../kit/api-site.ts";
import { useApiSite } from "./use-site.ts";
import { WhereaboutsObjects } from "./whereabouts-objects.ts";

/** For `ApiProxy.plan`. */
export const pass: Mischief = { kind: "pass" };

/** What tests of claims have that put something on the way to the API server: made before the first of them. */
export interface ProxiedClaims {
  readonly site: () => ApiSite;
  readonly proxy: () => ApiProxy;
  readonly objects: () => WhereaboutsObjects;
}

/** For all tests of the file: a site whose calls reach the API server through a proxy, and whereabouts' objects there. */
export function useProxiedClaims(): ProxiedClaims {
  const site = useApiSite();
  let made: { readonly proxy: ApiProxy; readonly objects: WhereaboutsObjects } | undefined;
  const ready = () => {
    if (made === undefined)
      throw new Error("only a test or a later hook may ask for it: it is made before the first test");
    return made;
  };
  beforeAll(async () => {
    made = { proxy: await ApiProxy.open(inject("api")), objects: new WhereaboutsObjects(site()) };
    await site().useAccount("polynic", made.proxy.url);
  });
  afterAll(() => made?.proxy[Symbol.dispose]());
  return { site, proxy: () => ready().proxy, objects: () => ready().objects };
}
