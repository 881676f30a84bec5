import { expect, test } from "vitest";
import { describeExpiry } from "./token.ts";

const now = Date.parse("2026-11-21T12:00:00Z");
const jwt = (claims: object): string =>
  ["{}", JSON.stringify(claims), "x"].map((part) => Buffer.from(part).toString("base64url")).join(".");
const hour = 3600;

test.each([
  [
    "expired",
    jwt({ sub: "system:serviceaccount:kube-system:multus", exp: now / 1000 - hour }),
    "the token of system:serviceaccount:kube-system:multus expired at 2026-11-21T11:00:00Z",
  ],
  [
    "valid by its own words",
    jwt({ exp: now / 1000 + hour }),
    "the token is valid until 2026-11-21T13:00:00Z by its own words, so it was revoked",
  ],
  ["without an end", jwt({ sub: "x" }), "the token of x may have expired"],
  ["no JWT", "abc", "the token may have expired or been revoked"],
  ["a JWT of something else", `a.${Buffer.from("[]").toString("base64url")}.b`, "the token may have expired"],
  ["nothing", "", "the token may have expired"],
])("a token that is %s", (_, token, want) => {
  expect(describeExpiry(token, "the token", now)).toContain(want);
});
