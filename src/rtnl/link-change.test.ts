import { describe, expect, test } from "vitest";
import { compact, mac, net1, type Row, wire } from "./bytes.test-data.ts";
import { addLink, deleteGroup, deleteLink, setLink } from "./link-change.ts";
import { queryLink } from "./link.ts";

const noDevice = "00000000 00000000 00000000 00000000";
const device7 = "00000000 07000000 00000000 00000000";

// Each line of a body is one attribute: length and type, then the value.
const rows: readonly Row[] = [
  [
    "a macvlan in another namespace, up",
    addLink({
      name: "net1",
      data: { kind: "macvlan", mode: "bridge", flags: 2, broadcastQueueLength: 1000 },
      parent: 5,
      netnsFd: 9,
      mac,
      mtu: 1400,
      up: true,
    }),
    `16/600 00000000 00000000 01000000 01000000
     09000300 6e65743100000000
     0a000100 02005e1000010000
     08000400 78050000
     08000500 05000000
     08001c00 09000000
     2c001280
       0c000100 6d6163766c616e00
       1c000280 08000100 04000000  06000200 02000000  08000700 e8030000`,
  ],
  [
    "a veth with all of its peer",
    addLink({
      name: "veth1",
      data: { kind: "veth", peer: { name: "eth0", mtu: 1400, mac, txQueueLength: 0, netnsFd: 9 } },
      master: 3,
    }),
    `16/600 ${noDevice}
     0a000300 7665746831000000
     08000a00 03000000
     58001280
       09000100 7665746800000000
       48000280
         44000180 ${noDevice}
           09000300 6574683000000000
           0a000100 02005e1000010000
           08000400 78050000
           08000d00 00000000
           08001c00 09000000`,
  ],
  [
    "a bridge with zeros that are sent and a VLAN protocol in network order",
    addLink({
      name: "br0",
      data: {
        kind: "bridge",
        vlanFiltering: true,
        stpState: 0,
        forwardDelay: 0,
        ageingTime: 30_000,
        vlanDefaultPvid: 0,
        vlanProtocol: 0x8100,
        multicastSnooping: false,
      },
    }),
    `16/600 ${noDevice}
     08000300 62723000
     4c001280
       0b000100 6272696467650000
       3c000280
         08000100 00000000
         08000400 30750000
         08000500 00000000
         06000800 81000000
         05000700 01000000
         06002700 00000000
         05001700 00000000`,
  ],
  [
    "queues, and a parent in a namespace of its own",
    addLink({ name: "m0", data: { kind: "macvlan" }, parent: 2, parentNetnsId: -1, txQueues: 1, rxQueues: 2 }),
    `16/600 ${noDevice}
     07000300 6d300000
     08000500 02000000
     08001f00 01000000
     08002000 02000000
     08002500 ffffffff
     14001280 0c000100 6d6163766c616e00 04000280`,
  ],
  [
    "an ipvlan, mode and flag in 16 bits each",
    addLink({ name: "net1", data: { kind: "ipvlan", mode: "l3s", flag: "private" }, parent: 5, netnsFd: 9 }),
    `16/600 ${noDevice}
     09000300 6e65743100000000
     08000500 05000000
     08001c00 09000000
     24001280 0b000100 6970766c616e0000 14000280 06000100 02000000 06000200 01000000`,
  ],
  [
    "an ipvlan whose mode and flag are zeros that are sent",
    addLink({ name: "i0", data: { kind: "ipvlan", mode: "l2", flag: "bridge" }, parent: 2 }),
    `16/600 ${noDevice}
     07000300 69300000
     08000500 02000000
     24001280 0b000100 6970766c616e0000 14000280 06000100 00000000 06000200 00000000`,
  ],
  [
    "a VLAN, its id in host and its protocol in network order",
    addLink({ name: "v0", data: { kind: "vlan", id: 4094, protocol: 0x8100 }, parent: 2, mtu: 1400 }),
    `16/600 ${noDevice}
     07000300 76300000
     08000400 78050000
     08000500 02000000
     24001280 09000100 766c616e00000000 14000280 06000100 fe0f0000 06000500 81000000`,
  ],
  ["nothing to change sends nothing", setLink(net1, {}), `16/0 ${device7}`],
  [
    "zeros, false and the empty alias are sent",
    setLink(net1, { up: false, promisc: true, mtu: 0, txQueueLength: 0, group: 0, master: 0, alias: "" }),
    `16/0 00000000 07000000 00010000 01010000
     04001400
     08000400 00000000
     08000a00 00000000
     08000d00 00000000
     08001b00 00000000`,
  ],
  [
    "by name, with flags both ways and the kind's own settings",
    setLink("net1", {
      up: true,
      noarp: false,
      allmulti: true,
      multicast: false,
      data: { kind: "bridge", vlanFiltering: false },
    }),
    `16/0 00000000 00000000 01020000 81120000
     09000300 6e65743100000000
     1c001280 0b000100 6272696467650000 0c000280 05000700 00000000`,
  ],
  [
    "a move with a new name",
    setLink(7, { name: "eth0", netnsFd: 9 }),
    `16/0 ${device7} 09000300 6574683000000000 08001c00 09000000`,
  ],
  ["a deletion by name", deleteLink("net1"), `17/0 ${noDevice} 09000300 6e65743100000000`],
  ["a deletion by index", deleteLink(net1), `17/0 ${device7}`],
  [
    "a name of more than 15 bytes is an alternative one",
    deleteLink("a-name-of-more-than-15"),
    `17/0 ${noDevice} 1b003500 612d6e616d652d6f662d6d6f72652d7468616e2d3135 0000`,
  ],
  [
    "bytes count, not letters",
    deleteLink("ääääääää"),
    `17/0 ${noDevice} 15003500 c3a4c3a4c3a4c3a4c3a4c3a4c3a4c3a400 000000`,
  ],
  ["a deletion by group", deleteGroup(0x1234), `17/0 ${noDevice} 08001b00 34120000`],
  [
    "a query leaves the statistics out",
    queryLink("net1"),
    `18/0 ${noDevice} 09000300 6e65743100000000 08001d00 08000000`,
  ],
];

describe("link requests", () => {
  test.each(rows)("%s", (_, request, want) => {
    expect(wire(request)).toBe(compact(want));
  });

  test("labels name the link, or its index where no name is known", () => {
    expect([setLink("net1", {}), setLink(net1, {}), setLink(7, {})].map(({ label }) => label)).toEqual([
      "set link net1",
      "set link net1",
      "set link #7",
    ]);
    expect(deleteGroup(5).label).toBe("delete links of group 5");
  });

  test("a rename by name is refused before anything is sent", () => {
    expect(() => setLink("net1", { name: "eth0" })).toThrow("link net1 can be renamed by its index only");
  });
});
