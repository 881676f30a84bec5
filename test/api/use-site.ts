import { afterAll, beforeAll, inject } from "vitest";
import { ApiSite } from "../kit/api-site.ts";

/** A site on the lane's API server for all tests of the file; call the result inside a test to get it. */
export function useApiSite(): () => ApiSite {
  let site: ApiSite | undefined;
  beforeAll(async () => {
    site = await ApiSite.make(inject("api"));
  });
  afterAll(() => site?.[Symbol.dispose]());
  return () => {
    if (site === undefined)
      throw new Error("only a test or a later hook may ask for it: it is made before the first test");
    return site;
  };
}
