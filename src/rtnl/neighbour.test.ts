import { describe, expect, test } from "vitest";
import { compact, ip, mac, net1, reply, type Row, survivesHostility, wire } from "./bytes.test-data.ts";
import { NTF_PROXY } from "./constants.ts";
import { addNeighbour, decodeNeighbour, deleteNeighbour, replaceNeighbour } from "./neighbour.ts";

const rows: readonly Row[] = [
  [
    "a permanent one by default",
    addNeighbour({ device: net1, ip: ip("10.1.2.1"), mac }),
    "28/600 02000000 07000000 80000000  08000100 0a010201  0a000200 02005e1000010000",
  ],
  [
    "a state of 0 is a state",
    replaceNeighbour({ device: net1, ip: ip("10.1.2.1"), state: 0 }),
    "28/500 02000000 07000000 00000000  08000100 0a010201",
  ],
  [
    "a deletion needs no hardware address",
    deleteNeighbour({ device: net1, ip: ip("2001:db8::1"), flags: NTF_PROXY, mac }),
    "29/0 0a000000 07000000 80000800  14000100 20010db8 00000000 00000000 00000001",
  ],
];

describe("neighbour messages", () => {
  test.each(rows)("%s", (_, request, want) => {
    expect(wire(request)).toBe(compact(want));
  });

  test("an answer is read whole; what is no IP neighbour is nothing", () => {
    expect(
      decodeNeighbour(reply("02000000 07000000 04000001  08000100 0a010201  0a000200 02005e1000010000"), "list"),
    ).toEqual({
      device: 7,
      ip: ip("10.1.2.1"),
      mac,
      state: 4,
      flags: 0,
    });
    expect(decodeNeighbour(reply("07000000 07000000 80000000  0a000200 02005e1000010000"), "list")).toBeUndefined();
    expect(decodeNeighbour(reply("02000000 07000000 80000000"), "list")).toBeUndefined();
  });

  test("hostile messages end in EBADMSG at worst", () => {
    survivesHostility((message) => decodeNeighbour(message, "list"));
  });
});
