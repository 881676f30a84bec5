// The kit's things for the length of a test file (or of a describe block): made before its tests, removed after them whatever happened.
import { afterAll, beforeAll } from "vitest";
import { Lan, type LanOptions } from "./node-netns.ts";
import { type TemporaryFolder, temporaryFolder } from "./tmp.ts";

/** A LAN for all tests of the block; call the result inside a test to get it. */
export function useLan(options: LanOptions = {}): () => Lan {
  return useDisposable(() => new Lan(options));
}

/** A temporary folder for all tests of the block; call the result inside a test to get it. */
export function useTemporaryFolder(): () => TemporaryFolder {
  return useDisposable(temporaryFolder);
}

/** Anything disposable for all tests of the block; call the result inside a test to get it. */
export function useDisposable<T extends Disposable>(make: () => T): () => T {
  let made: T | undefined;
  beforeAll(() => {
    made = make();
  });
  afterAll(() => made?.[Symbol.dispose]());
  return () => {
    if (made === undefined)
      throw new Error("only a test or a later hook may ask for it: it is made before the first test");
    return made;
  };
}
