import { expect, test } from "vitest";
import { parseArgs } from "../../cni/args.ts";
import { CniError } from "../../cni/error.ts";
import { parseNetConf } from "../../cni/net-conf.ts";
import { formatIp } from "../../ip/address.ts";
import { formatPrefix } from "../../ip/prefix.ts";
import type { JsonObject } from "../../json/value.ts";
import { parseConfig } from "./config.ts";

function configOf(raw: JsonObject, args = "") {
  const { conf } = parseNetConf({ cniVersion: "1.1.0", name: "fixed", type: "macvlan", ...raw }, "ADD");
  return parseConfig(conf, parseArgs(args));
}

const addresses = [
  { address: "192.0.2.10/24", gateway: "192.0.2.1" },
  { address: "2001:DB8::10/64", gateway: "" },
];
const own = ["192.0.2.10/24 via 192.0.2.1", "2001:db8::10/64"];
const inArgs = { args: { cni: { ips: ["198.51.100.5/24"] } } };
const inRuntime = { runtimeConfig: { ips: ["203.0.113.5/24", "2001:db8:1::5/64"] } };

test.each<[string, JsonObject, string, string[]]>([
  ["nobody", { ipam: {} }, "", []],
  ["the config", { ipam: { addresses } }, "", own],
  ["the config, host bits kept", { ipam: { addresses: [{ address: "::ffff:192.0.2.9/120" }] } }, "", ["192.0.2.9/24"]],
  ["CNI_ARGS", { ipam: {} }, "IP=192.0.2.77/24", ["192.0.2.77/24"]],
  [
    "CNI_ARGS, several with blanks and gateways",
    { ipam: {} },
    "IP=192.0.2.77/24, 198.51.100.7/24 ,2001:db8::7/64;GATEWAY=2001:db8::1, 192.0.2.1",
    ["192.0.2.77/24 via 192.0.2.1", "198.51.100.7/24", "2001:db8::7/64 via 2001:db8::1"],
  ],
  [
    "CNI_ARGS, the last gateway of a subnet",
    { ipam: {} },
    "IP=192.0.2.77/24;GATEWAY=192.0.2.1,192.0.2.2",
    ["192.0.2.77/24 via 192.0.2.2"],
  ],
  [
    "the config and CNI_ARGS, whose gateway is not for the config's",
    { ipam: { addresses } },
    "IP=192.0.2.77/24;GATEWAY=192.0.2.254",
    [...own, "192.0.2.77/24 via 192.0.2.254"],
  ],
  ["the config, although CNI_ARGS have a gateway", { ipam: { addresses } }, "GATEWAY=192.0.2.254", own],
  ["the config, CNI_ARGS being empty", { ipam: { addresses } }, "IP=;GATEWAY=", own],
  ["args instead of the config", { ipam: { addresses }, ...inArgs }, "", ["198.51.100.5/24"]],
  ["args without ipam's addresses", { ipam: {}, ...inArgs }, "", ["198.51.100.5/24"]],
  [
    "args instead of CNI_ARGS",
    { ipam: { addresses }, ...inArgs },
    "IP=192.0.2.77/24;GATEWAY=198.51.100.1",
    ["198.51.100.5/24"],
  ],
  ["the runtime instead of the config", { ipam: { addresses }, ...inRuntime }, "", inRuntime.runtimeConfig.ips],
  [
    "the runtime instead of all",
    { ipam: { addresses }, ...inArgs, ...inRuntime },
    "IP=192.0.2.77/24",
    inRuntime.runtimeConfig.ips,
  ],
  [
    "args, the runtime's list being empty",
    { ipam: {}, ...inArgs, runtimeConfig: { ips: [] } },
    "",
    ["198.51.100.5/24"],
  ],
  [
    "args instead of what is no address",
    { ipam: { addresses: [{ address: "x" }] }, ...inArgs },
    "",
    ["198.51.100.5/24"],
  ],
  ["a 0.2.0 config, one of each family", { cniVersion: "0.2.0", ipam: { addresses } }, "", own],
])("addresses come from %s", (_, raw, args, want) => {
  const found = configOf(raw, args).ips.map(({ address, gateway }) =>
    gateway === undefined ? formatPrefix(address) : `${formatPrefix(address)} via ${formatIp(gateway)}`,
  );
  expect(found).toEqual(want);
});

test("routes and dns are handed on as they are, several routes to one destination too", () => {
  const routes = [
    { dst: "0.0.0.0/0", gw: "192.0.2.1", priority: 5 },
    { dst: "0.0.0.0/0", gw: "192.0.2.2", mtu: 1300, advmss: 1260, table: 3, scope: 0 },
  ];
  const dns = { nameservers: ["192.0.2.53"], domain: "a.test", search: ["b.test"], options: ["ndots:2"] };
  const config = configOf({ ipam: { routes, dns } });
  const found = config.routes.map((route) => ({ ...route, dst: formatPrefix(route.dst), gw: formatIp(route.gw!) }));
  expect(found).toEqual(routes);
  expect(config.dns).toEqual(dns);
});

test.each<[string, JsonObject, string, number, string]>([
  ["no ipam", {}, "", 7, "IPAM config missing 'ipam' key (at $.ipam)"],
  ["no ipam, although args have addresses", inArgs, "", 7, "IPAM config missing 'ipam' key (at $.ipam)"],
  ["no ipam, although the runtime has addresses", inRuntime, "", 7, "IPAM config missing 'ipam' key (at $.ipam)"],
  [
    "an address without prefix length",
    { ipam: { addresses: [addresses[0]!, { address: "192.0.2.10" }] } },
    "",
    7,
    "the 'address' field is expected to be in CIDR notation, got: '192.0.2.10' (at $.ipam.addresses[1].address)",
  ],
  [
    "no address in an entry",
    { ipam: { addresses: [{ gateway: "192.0.2.1" }] } },
    "",
    7,
    "the 'address' field is expected to be in CIDR notation, got: '' (at $.ipam.addresses[0].address)",
  ],
  [
    "a gateway that is none",
    { ipam: { addresses: [{ address: "192.0.2.10/24", gateway: "192.0.2.1/24" }] } },
    "",
    7,
    '$.ipam.addresses[0].gateway: expected an IP address, found "192.0.2.1/24"',
  ],
  [
    "an address in args without prefix length",
    { ipam: {}, args: { cni: { ips: ["198.51.100.5"] } }, ...inRuntime },
    "",
    7,
    "an entry in the 'ips' field is NOT in CIDR notation, got: '198.51.100.5' (at $.args.cni.ips[0])",
  ],
  [
    "an address of the runtime without prefix length",
    { ipam: {}, runtimeConfig: { ips: ["192.0.2.1/24", "198.51.100.5"] } },
    "",
    7,
    "an entry in the 'ips' field is NOT in CIDR notation, got: '198.51.100.5' (at $.runtimeConfig.ips[1])",
  ],
  [
    "an address in CNI_ARGS without prefix length",
    { ipam: {} },
    "IP=192.0.2.1/24, 192.0.2.2",
    4,
    "the 'ip' field is expected to be in CIDR notation, got: '192.0.2.2'",
  ],
  ["a gateway in CNI_ARGS that is none", { ipam: {} }, "GATEWAY=192.0.2", 4, "invalid gateway address: 192.0.2"],
  [
    "two addresses of a family in 0.2.0",
    { cniVersion: "0.2.0", ipam: { addresses: [addresses[0]!, addresses[0]!] } },
    "",
    7,
    "CNI version 0.2.0 does not support more than 1 address per family (at $.ipam.addresses)",
  ],
])("a config with %s is refused", (_, raw, args, code, message) => {
  let error: unknown;
  try {
    configOf(raw, args);
  } catch (thrown) {
    error = CniError.from(thrown);
  }
  expect(error).toMatchObject({ code, message });
});

test("unknown CNI_ARGS are refused, unless the caller says that there will be some", () => {
  expect(() => configOf({ ipam: {} }, "MAC=02:00:00:00:00:01")).toThrow('unknown args ["MAC=02:00:00:00:00:01"]');
  expect(configOf({ ipam: {} }, "IgnoreUnknown=1;MAC=02:00:00:00:00:01").ips).toEqual([]);
});
