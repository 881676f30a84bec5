import { describe, expect, test } from "vitest";
import { isOfInterface, isSameValue, resolveSysctls } from "./sysctls.ts";

describe("a sysctl key", () => {
  test.each<[string, string, string]>([
    ["net.core.somaxconn", "net1", "net/core/somaxconn"],
    ["net/core/somaxconn", "net1", "net/core/somaxconn"],
    ["net.ipv4/conf.all/arp_filter", "net1", "net/ipv4/conf/all/arp_filter"],
    ["net.ipv4.conf.IFNAME.arp_filter", "net1", "net/ipv4/conf/net1/arp_filter"],
    ["net.ipv4.conf.IFNAME.arp_filter", "vlan.100", "net/ipv4/conf/vlan.100/arp_filter"],
    ["net.ipv4.conf.IFNAME.arp_filter", "$&", "net/ipv4/conf/$&/arp_filter"],
    ["net.ipv4.conf.IFNAME.IFNAME", "net1", "net/ipv4/conf/net1/IFNAME"],
    ["/net//ipv4/tcp_syncookies/", "net1", "net/ipv4/tcp_syncookies"],
    ["net.../ipv4.ip_forward", "net1", "net/ipv4/ip_forward"],
  ])("%s of interface %s is %s", (key, ifName, path) => {
    expect(resolveSysctls({ [key]: "1" }, ifName)).toEqual([{ key, path, value: "1" }]);
  });

  test.each<[string, string]>([
    ["kernel.hostname", "kernel/hostname"],
    ["net", "net"],
    ["network.x", "network/x"],
    ["net/../kernel/hostname2", "net////kernel/hostname2"],
    ["", ""],
  ])("%j is refused unless it is below net", (key, said) => {
    const resolve = () => resolveSysctls({ [key]: "1" }, "net1");
    if (said.startsWith("net/")) expect(resolve()[0]?.path).toBe("net/kernel/hostname2");
    else expect(resolve).toThrow(`invalid net sysctl key: ${JSON.stringify(said)}`);
  });

  test("keeps the order of the config", () => {
    const keys = resolveSysctls({ "net.b": "1", "net.a": "2" }, "net1").map(({ path }) => path);
    expect(keys).toEqual(["net/b", "net/a"]);
  });

  test("may be there twice with one value, not with two", () => {
    const [one, other] = ["net.ipv4.conf.IFNAME.arp_filter", "net/ipv4/conf/net1/arp_filter"];
    expect(resolveSysctls({ [one]: "1", [other]: "1" }, "net1")).toHaveLength(1);
    expect(() => resolveSysctls({ [one]: "1", [other]: "2" }, "net1")).toThrow(
      expect.objectContaining({
        code: 7,
        message: "duplicated sysctl keys are not allowed",
        details: `"${one}" and "${other}" are both net/ipv4/conf/net1/arp_filter`,
      }) as Error,
    );
  });
});

test.each<[string, boolean]>([
  ["net/ipv4/conf/net1/arp_filter", true],
  ["net/ipv6/neigh/net1/base_reachable_time_ms", true],
  ["net/ipv4/conf/all/arp_filter", false],
  ["net/ipv4/conf/net10/arp_filter", false],
  ["net/core/somaxconn", false],
  ["net/net1/conf/x", false],
])("%s is of net1: %o", (path, want) => {
  expect(isOfInterface(path, "net1")).toBe(want);
});

test.each<[string, string, boolean]>([
  ["1", "1", true],
  [" 1 ", "1", true],
  ["0", "1", false],
  ["1024 65000", "1024\t65000", true],
  ["1024 65000", "1024\t65001", false],
  ["1024", "1024\t65000", false],
  ["0x10", "16", true],
  ["010", "8", true],
  ["08", "8", true],
  ["-0x1", "-1", true],
  ["+5", "5", true],
  ["Cubic", "cubic", true],
  ["cubic", "reno", false],
  ["8080,9148", "8080,9148", true],
  ["9148,8080", "8080,9148", true],
  ["1,2,3,10-12", "1-3,10-12", true],
  ["1-3,2-5", "1-5", true],
  ["1-3", "1-4", false],
  ["", "", true],
  ["", "1", false],
  ["9223372036854775807", "9223372036854775807", true],
])("%j is what the kernel prints as %j: %o", (set, found, want) => {
  expect(isSameValue(set, found)).toBe(want);
});
