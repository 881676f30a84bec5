import { describe, expect, test } from "vitest";
import { mac, reply, survivesHostility } from "./bytes.test-data.ts";
import { decodeLink } from "./link.ts";

describe("decodeLink", () => {
  test("a macvlan that is up", () => {
    const message = reply(`00000100 07000000 43110100 00000000
      09000300 6e65743100000000
      08000d00 e8030000
      05001000 06000000
      08000400 dc050000
      08003200 44000000
      08003300 ff7f0000
      08001b00 04000000
      08001e00 02000000
      08003d00 01000000
      08000500 05000000
      08002500 03000000
      08000a00 09000000
      05002100 01000000
      0a000100 02005e1000010000
      0a000200 ffffffffffff0000
      06001400 68690000
      24001200 0c000100 6d6163766c616e00 14000200 08000100 04000000 06000200 02000000`);
    expect(decodeLink(message, "get")).toEqual({
      index: 7,
      name: "net1",
      kind: "macvlan",
      hardwareType: 1,
      flags: 0x11143,
      up: true,
      loopback: false,
      noarp: false,
      promisc: true,
      allmulti: false,
      promiscuity: 2,
      allmultiCount: 1,
      mtu: 1500,
      minMtu: 68,
      maxMtu: 32_767,
      mac,
      broadcast: Uint8Array.fromHex("ffffffffffff"),
      operState: "up",
      carrier: true,
      txQueueLength: 1000,
      group: 4,
      alias: "hi",
      master: 9,
      parent: 5,
      parentNetnsId: 3,
      data: { kind: "macvlan", mode: "bridge", flags: 2, broadcastQueueLength: undefined },
      port: undefined,
    });
  });

  test("a port of a bridge, whose own kind says nothing", () => {
    const message = reply(`00000100 07000000 02000000 00000000
      40001200
        09000100 7665746800000000
        0b000400 6272696467650000
        24000500 05000100 03000000  05000400 01000000  0500ff00 01000000  05002100 00000000`);
    expect(decodeLink(message, "get")).toMatchObject({
      kind: "veth",
      data: { kind: "veth" },
      port: { state: 3, hairpin: true, isolated: false },
      up: false,
    });
  });

  test("an ipvlan and a VLAN", () => {
    const kind = (hex: string) => decodeLink(reply(`00000100 07000000 00000000 00000000 ${hex}`), "get").data;
    expect(kind("24001200 0b000100 6970766c616e0000 14000200 06000100 01000000 06000200 02000000")).toEqual({
      kind: "ipvlan",
      mode: "l3",
      flag: "vepa",
    });
    // As the kernel sends it, with the flags in between: struct ifla_vlan_flags.
    expect(
      kind(`30001200 09000100 766c616e00000000
        20000200 06000500 81000000 06000100 64000000 0c000200 01000000 ffffffff`),
    ).toEqual({ kind: "vlan", id: 100, protocol: 0x8100 });
    expect(kind("1c001200 0b000100 6970766c616e0000 0c000200 06000100 09000000")).toEqual({
      kind: "ipvlan",
      mode: undefined,
      flag: undefined,
    });
  });

  test("a kind without an entry has its name and no data, also when it is called like something every object has", () => {
    const kind = (hex: string) => decodeLink(reply(`00000100 07000000 00000000 00000000 ${hex}`), "get");
    expect(kind("10001200 0a000100 76786c616e000000")).toMatchObject({ kind: "vxlan", data: undefined });
    expect(kind("14001200 10000100 636f6e7374727563746f7200")).toMatchObject({ kind: "constructor", data: undefined });
  });

  test("hostile messages end in EBADMSG at worst", () => {
    expect(() => decodeLink(reply("00000100"), "get link net1")).toThrow("get link net1: bad message");
    survivesHostility((message) => decodeLink(message, "get"));
  });
});
