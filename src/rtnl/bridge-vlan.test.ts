import { describe, expect, test } from "vitest";
import { addBridgeVlans, decodePortVlans, deleteBridgeVlans } from "./bridge-vlan.ts";
import { compact, net1, reply, type Row, survivesHostility, wire } from "./bytes.test-data.ts";

const port7 = "07000000 07000000 00000000 00000000";

const rows: readonly Row[] = [
  [
    "a PVID and a range",
    addBridgeVlans({ device: net1 }, [
      { id: 100, pvid: true, untagged: true },
      { id: 200, lastId: 210 },
    ]),
    `19/0 ${port7} 1c001a80 08000200 06006400  08000200 0800c800  08000200 1000d200`,
  ],
  [
    "the bridge's own device, and a range of one",
    deleteBridgeVlans({ device: net1, self: true }, [{ id: 1, lastId: 1 }]),
    `17/0 ${port7} 14001a80 06000000 02000000  08000200 00000100`,
  ],
];

describe("bridge VLAN messages", () => {
  test.each(rows)("%s", (_, request, want) => {
    expect(wire(request)).toBe(compact(want));
  });

  test("labels name VLANs and port", () => {
    expect(addBridgeVlans({ device: net1 }, [{ id: 1 }, { id: 5, lastId: 9 }]).label).toBe(
      "add VLAN 1,5-9 to bridge port net1",
    );
    expect(deleteBridgeVlans({ device: 7 }, [{ id: 1 }]).label).toBe("delete VLAN 1 from bridge port #7");
  });

  test("a dump's message is read, ranges joined, a range's end without a beginning kept as one", () => {
    const message = reply(`${port7} 24001a00
      08000200 06000100  08000200 08000a00  08000200 10001400  08000200 10001e00`);
    expect(decodePortVlans(message, "list")).toEqual({
      device: 7,
      vlans: [
        { id: 1, lastId: undefined, pvid: true, untagged: true },
        { id: 10, lastId: 20, pvid: false, untagged: false },
        { id: 30, lastId: undefined, pvid: false, untagged: false },
      ],
    });
  });

  test("hostile messages end in EBADMSG at worst", () => {
    survivesHostility((message) => decodePortVlans(message, "list"));
  });
});
