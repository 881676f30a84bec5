import { describe, expect, test } from "vitest";
import { repeats } from "./repeats.ts";

describe("a text repeats a message", () => {
  const cases: readonly {
    readonly what: string;
    readonly text: string;
    readonly message: string;
    readonly want: boolean;
  }[] = [
    { what: "that it has in it", text: "pod a: no space (dir /x)", message: "no space", want: true },
    {
      what: "but for its introduction",
      text: "pod a: no space",
      message: "undo of lease failed: no space",
      want: true,
    },
    { what: "not when it says more", text: "no space", message: "no space left for b", want: false },
    {
      what: "not when only the introductions are alike",
      text: "pod a: no space",
      message: "pod a: no time",
      want: false,
    },
    { what: "not when only its end is said", text: "no space", message: "there is no space", want: false },
  ];
  for (const { what, text, message, want } of cases) test(what, () => expect(repeats(text, message)).toBe(want));
});
