import { beforeAll, expect, test } from "vitest";
import { useLan } from "../kit/hooks.ts";
import { pageNames, tryPage } from "../kit/plugin-pages.ts";

/** test/kernel/examples.test.ts */
const inGuest = ["ipvlan", "vlan"];

const lan = useLan();
beforeAll(() => lan().node().ip("link set eth0 down", "link set eth0 name eth1", "link set eth1 up"));

test.each(pageNames().filter((name) => !inGuest.includes(name)))(
  "the config that docs/plugins/%s.md shows works as it stands",
  (name) => {
    tryPage(name, lan().node());
  },
);

test("the others are tried where their kernel is", () => {
  expect(pageNames()).toEqual(expect.arrayContaining(inGuest));
});
