import { expect, test } from "vitest";
import { CniError, code } from "../../cni/error.ts";
import type { Link } from "../../rtnl/link.ts";
import { createAfterTeardown } from "./teardown.ts";

const made = { name: "net1" } as Link;
const error = (message: string) => new CniError(code.internal, message);
const nothingSeen = () => undefined;

/** Fails so often before it succeeds. */
function failing(times: number): () => Link {
  let calls = 0;
  return () => {
    calls += 1;
    if (calls <= times) throw new Error(`refusal ${calls}`);
    return made;
  };
}

test("it is tried again until it succeeds", () => {
  expect(createAfterTeardown(new Error("first"), failing(2), nothingSeen, () => error("still"))).toBe(made);
});

test("what can be seen to be in the way ends it, also when that comes later", () => {
  const obstacleTo = (refusal: unknown) => (String(refusal).includes("refusal 2") ? error("seen") : undefined);
  expect(() => createAfterTeardown(new Error("first"), failing(9), obstacleTo, () => error("still"))).toThrow("seen");
});

test("it ends some time with the last refusal", () => {
  const stillRefused = (refusal: unknown) => error(`still: ${String(refusal)}`);
  expect(() => createAfterTeardown(new Error("first"), failing(Infinity), nothingSeen, stillRefused)).toThrow(
    /^still: Error: refusal \d+$/,
  );
});
