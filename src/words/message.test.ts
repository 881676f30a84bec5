import { describe, expect, test } from "vitest";
import { messageOf } from "./message.ts";

class NamedError extends Error {
  override readonly name = "NamedError";
}

describe("messageOf says what was thrown", () => {
  const cases: readonly { readonly what: string; readonly thrown: unknown; readonly want: string }[] = [
    { what: "an error by its message alone", thrown: new Error("no space"), want: "no space" },
    { what: "a class of errors without its name", thrown: new NamedError("no space"), want: "no space" },
    { what: "an error without a message as nothing", thrown: new Error(""), want: "" },
    { what: "a text as it is", thrown: "no space", want: "no space" },
    { what: "nothing by its name", thrown: undefined, want: "undefined" },
    { what: "what only looks like an error as an object", thrown: { message: "no space" }, want: "[object Object]" },
  ];
  for (const { what, thrown, want } of cases) test(what, () => expect(messageOf(thrown)).toBe(want));
});
