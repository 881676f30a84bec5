import { describe, expect, test } from "vitest";
import { networkHint } from "./near-miss.ts";

describe("the hint for a network that is missing", () => {
  const named = (text: string) =>
    text
      .split(" ")
      .filter((part) => part !== "")
      .map((part) => ({ namespace: part.split("/")[0] ?? "", name: part.split("/")[1] ?? "" }));
  test.each([
    ["a/macvlan", "a/macvlan1 a/bridge", "did you mean macvlan1?; namespace a has bridge, macvlan1"],
    ["a/net", "b/net c/net", "it exists in namespace b, c: name it as b/net; namespace a has no networks"],
    ["a/net", "", "namespace a has no networks"],
    ["a/x", "a/1 a/2 a/3 a/4 a/5 a/6 a/7 a/8 a/9", "did you mean"],
    ["a/long-name", "a/1 a/2 a/3 a/4 a/5 a/6 a/7 a/8 a/9", "namespace a has 1, 2, 3, 4, 5, 6, 7, 8 and 1 more"],
  ])("%s among %j", (wanted, existing, want) => {
    const [first] = named(wanted);
    if (first === undefined) throw new Error("no name");
    expect(networkHint(first, named(existing))).toContain(want);
  });
});
