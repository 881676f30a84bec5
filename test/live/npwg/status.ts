// The status that a pod is given.
import { expect } from "vitest";
import { Recorder } from "../../kit/recorder.ts";
import { added, recorded, type Rule, version } from "./world.ts";

export const statusRules: readonly Rule[] = [
  {
    rule: "M22",
    says: "network-status is a JSON list of maps; keys without a dot are the specification's (and mtu and gateway, which Multus writes and people read)",
    async holds(here) {
      here.network(
        "net",
        here.macvlan("net", "10.9.0.0/24", { ipam: { routes: [{ dst: "0.0.0.0/0", gw: "10.9.0.1" }] } }),
      );
      const { status } = await added(here, "net");
      const known = ["name", "interface", "ips", "mac", "mtu", "default", "dns", "device-info", "gateway"];
      expect(status.flatMap((each) => Object.keys(each)).filter((key) => !known.includes(key))).toEqual([]);
    },
  },
  {
    rule: "M23",
    says: "every entry has a name, with the namespace for a definition",
    async holds(here) {
      recorded(here, "net", { name: "other-name" }, "other");
      const { status } = await added(here, "other/net");
      expect(status.map((each) => each["name"])).toEqual(["main", "other/net"]);
    },
  },
  {
    rule: "M24",
    says: "exactly one entry is the default; false is left out, as Multus does and the client library expects",
    async holds(here) {
      recorded(here, "net");
      const { status } = await added(here, "net,net");
      expect(status.map((each) => each["default"])).toEqual([true, undefined, undefined]);
    },
  },
  {
    rule: "M25",
    says: "the cluster default network has an entry",
    async holds(here) {
      const { status } = await added(here, "");
      expect(status).toEqual([{ name: "main", default: true, dns: {} }]);
    },
  },
  {
    rule: "M26",
    says: "data are those of the sandbox interface with its addresses; a plugin that reports several gets an entry for each, as in Multus",
    async holds(here) {
      const result = {
        ...version,
        interfaces: [
          { name: "br0", mac: "02:00:00:00:00:01" },
          { name: "x0", mac: "02:00:00:00:00:02", sandbox: "/s" },
          { name: "x1", sandbox: "/s" },
        ],
        ips: [
          { address: "10.0.0.1/24", interface: 1 },
          { address: "10.0.0.2/24", interface: 2 },
          { address: "10.0.0.3/24", interface: 0 },
        ],
      };
      const several = new Recorder(here, "several", result);
      here.network("net", { ...version, type: several.type });
      const { status } = await added(here, "net");
      expect(status.slice(1)).toEqual([
        { name: "default/net", interface: "x0", ips: ["10.0.0.1"], mac: "02:00:00:00:00:02", dns: {} },
        { name: "default/net", interface: "x1", ips: ["10.0.0.2"], dns: {} },
      ]);
    },
  },
];
