import { expect, test } from "vitest";
import { containerId } from "./network-call.ts";

test("a namespace has the container id that cnitool gives it", () => {
  expect(containerId("/run/netns/c1")).toBe("cnitool-20b4ff582526573bbe7d");
});
