import { describe, expect, test } from "vitest";
import { parseNetConf } from "../../cni/net-conf.ts";
import { parseIp } from "../../ip/address.ts";
import type { JsonObject } from "../../json/value.ts";
import { parseConfig } from "./config.ts";

const parse = (own: JsonObject) =>
  parseConfig(parseNetConf({ cniVersion: "1.1.0", name: "net", type: "sbr", ...own }, "ADD").conf);

const defaults = { table: undefined, gateways: {}, keepSubnets: false };

describe("a sbr config", () => {
  test.each<[string, JsonObject, object]>([
    ["may be empty", {}, {}],
    ["may have nulls", { table: null, gateways: null, addSourceHints: null }, {}],
    ["may name the largest table", { table: 4294967295 }, { table: 4294967295 }],
    ["may keep subnets, in any letter case", { ADDSOURCEHINTS: true }, { keepSubnets: true }],
    ["may name a gateway", { gateways: ["192.0.2.1"] }, { gateways: { 4: parseIp("192.0.2.1") } }],
    [
      "may name a gateway of each family",
      { gateways: ["2001:db8::1", "192.0.2.1"] },
      { gateways: { 4: parseIp("192.0.2.1"), 6: parseIp("2001:db8::1") } },
    ],
  ])("%s", (_, own, want) => {
    expect(parse(own)).toEqual({ ...defaults, ...want });
  });

  test.each<[JsonObject, string]>([
    [{ table: 0 }, "failed to load netconf: $.table: expected an integer from 1 to 4294967295, found 0"],
    [{ table: "100" }, 'failed to load netconf: $.table: expected an integer from 1 to 4294967295, found "100"'],
    [{ addSourceHints: 1 }, "failed to load netconf: $.addSourceHints: expected true or false, found 1"],
    [{ gateways: "192.0.2.1" }, 'failed to load netconf: $.gateways: expected an array, found "192.0.2.1"'],
    [{ gateways: ["192.0.2.1/24"] }, "invalid static gateway IP address: 192.0.2.1/24"],
    [{ gateways: [""] }, "invalid static gateway IP address: "],
    [
      { gateways: ["192.0.2.1", "192.0.2.2"] },
      "gateways list contains multiple IPv4 addresses: 192.0.2.1 and 192.0.2.2",
    ],
    [{ gateways: ["::1", "::2"] }, "gateways list contains multiple IPv6 addresses: ::1 and ::2"],
    [
      { gateways: ["192.0.2.1", "::2", "::3"] },
      "gateways list cannot contain more than 2 entries (one IPv4, one IPv6)",
    ],
  ])("%j is refused", (own, message) => {
    expect(() => parse(own)).toThrow(expect.objectContaining({ code: 7, message }) as Error);
  });
});
