import { describe, expect, test } from "vitest";
import { compact, ip, net1, prefix, reply, type Row, survivesHostility, wire } from "./bytes.test-data.ts";
import { RTN_BLACKHOLE, RTPROT_STATIC } from "./constants.ts";
import { addRoute, appendRoute, decodeRoute, deleteRoute, prependRoute, replaceRoute } from "./route.ts";
import { routeQuery } from "./route-lookup.ts";

const to = prefix("10.0.0.0/8");

test("the way to an address is asked for by its whole length", () => {
  expect([ip("10.1.2.3"), ip("fd00::1")].map((each) => wire(routeQuery(each)))).toEqual([
    compact("26/0 02200000 00000000 00000000 08000100 0a010203"),
    compact("26/0 0a800000 00000000 00000000 14000100 fd000000 00000000 00000000 00000001"),
  ]);
});

const rows: readonly Row[] = [
  [
    "all there is of family 4, in a table above 255, with metric 0",
    addRoute({
      destination: to,
      gateway: ip("10.1.2.1"),
      device: net1,
      source: ip("10.1.2.3"),
      table: 1000,
      metric: 0,
      protocol: RTPROT_STATIC,
      metrics: { mtu: 1400, advmss: 1360, congestionControl: "bbr" },
    }),
    `24/600 02080000 00040001 00000000
     08000f00 e8030000
     08000100 0a000000
     08000400 07000000
     08000500 0a010201
     08000700 0a010203
     08000600 00000000
     1c000880 08000200 78050000  08000800 50050000  08001000 62627200`,
  ],
  [
    "a default route has no RTA_DST; a table up to 255 is in the header",
    addRoute({ destination: prefix("0.0.0.0/0"), gateway: ip("10.1.2.1"), table: 100 }),
    "24/600 02000000 64030001 00000000  08000500 0a010201",
  ],
  [
    "a direct route of family 6 from a network, with a preference",
    replaceRoute({
      destination: prefix("2001:db8::/32"),
      device: net1,
      preference: 1,
      from: prefix("2001:db8:1::/48"),
    }),
    `24/500 0a203000 fe03fd01 00000000
     14000100 20010db8 00000000 00000000 00000000
     14000200 20010db8 00010000 00000000 00000000
     08000400 07000000
     05001400 01000000`,
  ],
  [
    "an IPv6 router of an IPv4 route is RTA_VIA",
    appendRoute({ destination: to, gateway: ip("fe80::1"), device: net1, onlink: true, tos: 16 }),
    `24/c00 02080010 fe030001 04000000
     08000100 0a000000
     08000400 07000000
     16001200 0a00 fe800000 00000000 00000000 00000001 0000`,
  ],
  [
    "several ways, with weights",
    prependRoute({
      destination: to,
      nextHops: [
        { gateway: ip("10.1.2.1"), device: net1, weight: 3 },
        { device: 8, onlink: true },
      ],
    }),
    `24/400 02080000 fe030001 00000000
     08000100 0a000000
     1c000980 10000002 07000000 08000500 0a010201  08000400 08000000`,
  ],
  [
    "a scope of 0 is kept where link would be the default",
    addRoute({ destination: to, device: net1, scope: 0 }),
    "24/600 02080000 fe030001 00000000  08000100 0a000000  08000400 07000000",
  ],
  [
    "a blackhole, and metrics without any",
    addRoute({ destination: to, type: RTN_BLACKHOLE, metrics: {} }),
    "24/600 02080000 fe030006 00000000  08000100 0a000000",
  ],
  [
    "a deletion asks for no scope, type or protocol that it was not given",
    deleteRoute({ destination: to }),
    "25/0 02080000 fe00ff00 00000000  08000100 0a000000",
  ],
];

describe("route messages", () => {
  test.each(rows)("%s", (_, request, want) => {
    expect(wire(request)).toBe(compact(want));
  });

  test("labels say all that tells routes apart", () => {
    const labels = [
      addRoute({ destination: to, gateway: ip("10.1.2.1"), device: net1, table: 100 }),
      deleteRoute({ destination: prefix("::/0"), device: 7, metric: 5 }),
      replaceRoute({ destination: to, nextHops: [{ gateway: ip("10.1.2.1") }, { device: net1 }], table: 254 }),
    ].map(({ label }) => label);
    expect(labels).toEqual([
      "add route 10.0.0.0/8 via 10.1.2.1 dev net1 table 100",
      "delete route default (IPv6) dev #7 metric 5",
      "replace route 10.0.0.0/8 via 10.1.2.1 dev net1",
    ]);
  });

  test("an answer is read whole", () => {
    const message = reply(`02080000 fc040001 04000000
      08000f00 e8030000  08000100 0a000000  08000500 0a010201  08000700 0a010203  08000600 2a000000
      14000800 08000200 78050000  08000800 50050000
      20000900 10000402 07000000 08000500 0a010201  0c000000 08000000 04000000`);
    expect(decodeRoute(message, "list")).toEqual({
      destination: to,
      gateway: ip("10.1.2.1"),
      device: undefined,
      nextHops: [
        { gateway: ip("10.1.2.1"), device: 7, weight: 3, onlink: true },
        { gateway: undefined, device: 8, weight: 1, onlink: false },
      ],
      source: ip("10.1.2.3"),
      from: undefined,
      table: 1000,
      metric: 42,
      scope: 0,
      protocol: 4,
      type: 1,
      tos: 0,
      onlink: true,
      metrics: { mtu: 1400, advmss: 1360 },
      preference: undefined,
      flags: 4,
    });
  });

  test("a default route has a destination too", () => {
    expect(decodeRoute(reply("0a000000 fe040001 00000000"), "list")?.destination).toEqual(prefix("::/0"));
  });

  test("a next hop whose length lies ends the list", () => {
    const message = reply("02080000 fe040001 00000000  14000900 08000000 07000000 ff000000 08000000");
    expect(decodeRoute(message, "list")?.nextHops).toEqual([
      { gateway: undefined, device: 7, weight: 1, onlink: false },
    ]);
  });

  test("multicast routing tables are no routes of ours", () => {
    expect(decodeRoute(reply("80000000 fe040001 00000000"), "list")).toBeUndefined();
  });

  test("hostile messages end in EBADMSG at worst", () => {
    survivesHostility((message) => decodeRoute(message, "list"));
  });
});
