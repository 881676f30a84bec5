import { describe, expect, test } from "vitest";
import { chain, rule, table } from "../../nft/object.ts";
import { Transaction } from "../../nft/transaction.ts";
import { parseConditions } from "./conditions.ts";

/** How nft would print them, after they have compiled. */
function printed(words: readonly string[], family: 4 | 6 = 4): string {
  const home = table(family === 4 ? "ip" : "ip6", "t");
  const { statements } = parseConditions(words, family);
  const transaction = new Transaction().add(rule(chain(home, "c"), statements));
  expect(transaction.fault).toBeUndefined();
  return String(transaction).replace(/^add rule \w+ t c /, "");
}

describe("conditions", () => {
  test.each<[string, string]>([
    ["", ""],
    ["ip saddr 10.0.0.1", "ip saddr 10.0.0.1"],
    ["ip saddr 10.0.0.0/8", "ip saddr 10.0.0.0/8"],
    ["ip saddr == 10.0.0.1/8", "ip saddr 10.0.0.0/8"],
    ["ip daddr != 192.0.2.0/24", "ip daddr != 192.0.2.0/24"],
    ["ip daddr 192.0.2.1-192.0.2.9", "ip daddr 192.0.2.1-192.0.2.9"],
    ["ip saddr { 10.0.0.0/8, 192.0.2.1 }", "ip saddr { 10.0.0.0/8, 192.0.2.1 }"],
    ["ip saddr {10.0.0.0/8,192.0.2.1,}", "ip saddr { 10.0.0.0/8, 192.0.2.1 }"],
    ["ip saddr != { 10.0.0.3-10.0.0.9, 0.0.0.0/0 }", "ip saddr != { 10.0.0.3-10.0.0.9, 0.0.0.0/0 }"],
    ["ip saddr { 10.0.0.0/8 }", "ip saddr 10.0.0.0/8"],
    ["tcp sport 1024-65535", "tcp sport 1024-65535"],
    ["udp dport != { 53, 5300-5310 }", "udp dport != { 53, 5300-5310 }"],
    ["sctp sport 9", "sctp sport 9"],
    ['iifname "eth0"', 'iifname "eth0"'],
    ["iifname != eth0", 'iifname != "eth0"'],
    ["meta iifname { eth0, bond0.100 }", 'iifname { "eth0", "bond0.100" }'],
    ["oifname veth*", 'oifname "veth*"'],
    ["mark 0x10", "meta mark 0x00000010"],
    ["meta mark != 16", "meta mark != 0x00000010"],
    ["meta mark & 0xff == 0x10", "meta mark & 0x000000ff == 0x00000010"],
    ["meta mark & 0xff != 0x10", "meta mark & 0x000000ff != 0x00000010"],
    ["meta l4proto tcp", "meta l4proto tcp"],
    ["meta l4proto { tcp, udp }", "meta l4proto { tcp, udp }"],
    ["ct state new", "ct state new"],
    ["ct state new,related", "ct state new,related"],
    ["ct state != invalid", "ct state != invalid"],
    ["fib daddr type local counter", "fib daddr type local counter packets 0 bytes 0"],
    [
      "ip saddr 10.0.0.0/8 ip daddr != 10.0.0.1 tcp sport 1-9 iifname eth0",
      'ip saddr 10.0.0.0/8 ip daddr != 10.0.0.1 tcp sport 1-9 iifname "eth0"',
    ],
  ])("%j reads as %j", (text, want) => {
    expect(printed(text.split(" "))).toBe(want);
    expect(printed([text])).toBe(want);
  });

  test("of IPv6 are read as well", () => {
    expect(printed(["ip6", "saddr", "{", "fd00::/8,", "::1", "}"], 6)).toBe("ip6 saddr { fd00::/8, ::1 }");
  });

  test.each<[string, 4 | 6, string]>([
    ["ip ttl 3", 4, '"ttl" is not saddr or daddr'],
    ["ip saddr @blocked", 4, '"@blocked" is not an IPv4 address, network or range'],
    ["ip saddr fd00::1", 4, '"fd00::1" is not an IPv4 address'],
    ["ip saddr 10.0.0.9-10.0.0.1", 4, '"10.0.0.9-10.0.0.1" is not an IPv4 address'],
    ["ip6 saddr fd00::1", 4, "IPv6 in the conditions of IPv4 can never hold"],
    ["ip saddr 10.0.0.1", 6, "IPv4 in the conditions of IPv6 can never hold"],
    ["tcp dport http", 4, '"http" is not a port or a range of ports, as numbers'],
    ["tcp dport 70000", 4, '"70000" is not a port'],
    ["tcp dport 9-1", 4, '"9-1" is not a port'],
    ["tcp sport 1 udp sport 1", 4, "tcp and udp at once can never hold"],
    ["meta l4proto udp tcp sport 1", 4, "udp and tcp at once can never hold"],
    ["meta l4proto icmp", 4, '"icmp" is not tcp, udp, sctp'],
    ["meta skuid 0", 4, '"skuid" is not mark or iifname or oifname or l4proto'],
    ["mark 0x100000000", 4, '"0x100000000" is not a number of 32 bits'],
    ["iifname a-very-long-name0", 4, '"a-very-long-name0" is not the name of an interface'],
    ["iifname { eth*, lo }", 4, "an interface name with * has to stand alone"],
    ["ct state != new,related", 4, "several states after != always hold"],
    ["ct mark 1", 4, '"mark" is not state'],
    ["limit rate 1/second", 4, '"limit" is not known here; known are ip|ip6 saddr|daddr,'],
    ["ip saddr", 4, "something is missing at its end"],
    ["ip saddr { 10.0.0.1", 4, "something is missing at its end"],
    ["ip saddr { }", 4, '"}" is not an IPv4 address'],
    ['iifname "eth0', 4, '"\\"" is not known here'],
    ["ip saddr = 10.0.0.1", 4, '"=" is not known here'],
    ["ip saddr 10.0.0.1; drop", 4, '"10.0.0.1;" is not an IPv4 address'],
    ["accept", 4, '"accept" is not known here'],
  ])("%j of IPv%i are refused: %s", (text, family, want) => {
    expect(() => parseConditions(text.split(" "), family)).toThrow(want);
    expect(() => parseConditions(text.split(" "), family)).toThrow(`condition ${JSON.stringify(text)}: `);
  });

  test("tell the transport protocol they can hold for", () => {
    const texts = ["tcp sport 1-9", "meta l4proto udp", "meta l4proto != udp", "ip saddr 10.0.0.1", ""];
    expect(texts.map((text) => parseConditions([text], 4).transport)).toEqual([
      "tcp",
      "udp",
      undefined,
      undefined,
      undefined,
    ]);
  });
});
