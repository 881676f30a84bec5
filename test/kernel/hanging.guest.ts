import type { GuestCases } from "./uml.ts";

export const cases: GuestCases = {
  "never ends": () => new Promise(() => setInterval(() => undefined, 1000)),
};
