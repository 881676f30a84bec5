import { describe, expect, test } from "vitest";
import { addAddress, decodeAddress, deleteAddress, replaceAddress } from "./address.ts";
import { compact, ip, net1, prefix, reply, type Row, survivesHostility, wire } from "./bytes.test-data.ts";
import { IFA_F_NODAD, IFA_F_NOPREFIXROUTE } from "./constants.ts";

const v6 = "20010db8 00000000 00000000 00000003";

const rows: readonly Row[] = [
  [
    "family 4 with the broadcast address of its network",
    addAddress({ device: net1, prefix: prefix("10.1.2.3/24") }),
    "20/600 02180000 07000000  08000200 0a010203  08000100 0a010203  08000400 0a0102ff",
  ],
  [
    "no broadcast address above /30",
    addAddress({ device: net1, prefix: prefix("10.1.2.3/31") }),
    "20/600 021f0000 07000000  08000200 0a010203  08000100 0a010203",
  ],
  [
    "no broadcast address on request",
    addAddress({ device: net1, prefix: prefix("10.1.2.3/24"), broadcast: "none" }),
    "20/600 02180000 07000000  08000200 0a010203  08000100 0a010203",
  ],
  [
    "a peer, a scope and a label",
    addAddress({ device: net1, prefix: prefix("10.1.2.3/24"), peer: ip("10.1.2.4"), scope: 253, label: "net1:x" }),
    "20/600 021800fd 07000000  08000200 0a010203  08000100 0a010204  0b000300 6e6574313a780000",
  ],
  [
    "family 6 with flags above the first eight and metric 0",
    addAddress({ device: net1, prefix: prefix("2001:db8::3/64"), flags: IFA_F_NODAD | IFA_F_NOPREFIXROUTE, metric: 0 }),
    `20/600 0a400000 07000000  14000200 ${v6}  14000100 ${v6}  08000800 02020000  08000900 00000000`,
  ],
  [
    "lifetimes",
    replaceAddress({ device: 7, prefix: prefix("10.1.2.3/32"), validSeconds: 60, preferredSeconds: 0 }),
    "20/500 02200000 07000000  08000200 0a010203  08000100 0a010203  14000600 00000000 3c000000 00000000 00000000",
  ],
  [
    "a preferred lifetime alone leaves the address valid for ever",
    addAddress({ device: 7, prefix: prefix("10.1.2.3/32"), preferredSeconds: 5 }),
    "20/600 02200000 07000000  08000200 0a010203  08000100 0a010203  14000600 05000000 ffffffff 00000000 00000000",
  ],
  [
    "a deletion sends nothing but what identifies",
    deleteAddress({ device: net1, prefix: prefix("10.1.2.3/24"), flags: IFA_F_NODAD, scope: 253, metric: 1 }),
    "21/0 02180000 07000000  08000200 0a010203  08000100 0a010203",
  ],
];

describe("address messages", () => {
  test.each(rows)("%s", (_, request, want) => {
    expect(wire(request)).toBe(compact(want));
  });

  test("labels name address and device", () => {
    const spec = { device: 7, prefix: prefix("2001:db8::3/64") };
    expect([addAddress(spec), replaceAddress(spec), deleteAddress(spec)].map(({ label }) => label)).toEqual([
      "add address 2001:db8::3/64 to #7",
      "replace address 2001:db8::3/64 to #7",
      "delete address 2001:db8::3/64 from #7",
    ]);
  });

  test("IFA_FLAGS wins over the header's byte, and says tentative and failed", () => {
    const message = reply(
      `0a408000 07000000  14000100 ${v6}  08000800 c8000000  14000600 ffffffff ffffffff 00000000 00000000`,
    );
    expect(decodeAddress(message, "list")).toEqual({
      device: 7,
      prefix: prefix("2001:db8::3/64"),
      peer: undefined,
      broadcast: undefined,
      scope: 0,
      flags: 0xc8,
      tentative: true,
      dadFailed: true,
      label: undefined,
      metric: undefined,
      validSeconds: undefined,
      preferredSeconds: undefined,
    });
  });

  test("IFA_LOCAL is the own address, IFA_ADDRESS then the peer's", () => {
    expect(decodeAddress(reply("02200000 07000000  08000100 0a010204  08000200 0a010203"), "list")).toMatchObject({
      prefix: prefix("10.1.2.3/32"),
      peer: ip("10.1.2.4"),
    });
  });

  test("other families and messages without an address are nothing", () => {
    expect(decodeAddress(reply("07200000 07000000"), "list")).toBeUndefined();
    expect(decodeAddress(reply("02200000 07000000"), "list")).toBeUndefined();
  });

  test("hostile messages end in EBADMSG at worst", () => {
    expect(() => decodeAddress(reply("0220"), "list addresses")).toThrow("list addresses: bad message");
    survivesHostility((message) => decodeAddress(message, "list"));
  });
});
