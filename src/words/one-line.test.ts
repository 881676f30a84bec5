import { describe, expect, test } from "vitest";
import { oneLine } from "./one-line.ts";

describe("oneLine makes one line", () => {
  const cases: readonly { readonly what: string; readonly text: string; readonly want: string }[] = [
    { what: "of one, as it is", text: "a  b", want: "a  b" },
    { what: "of two, whatever ends the first", text: "a\nb\r\nc\rd", want: "a; b; c; d" },
    { what: "of indented ones and empty ones", text: "a: \n\n\t b", want: "a:; b" },
    { what: "without what stands around them", text: "\n a \n", want: "a" },
    { what: "of none", text: "", want: "" },
  ];
  for (const { what, text, want } of cases) test(what, () => expect(oneLine(text)).toBe(want));
});
