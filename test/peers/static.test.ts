import { describeCases } from "./describe-cases.ts";

const dual = {
  type: "static",
  addresses: [{ address: "192.0.2.10/24", gateway: "192.0.2.1" }, { address: "2001:db8::10/64" }],
  routes: [{ dst: "198.51.100.0/24", gw: "192.0.2.1", mtu: 1300 }],
  dns: { nameservers: ["192.0.2.53"] },
};

function network(ipam: object, cniVersion = "1.1.0"): object {
  return { cniVersion, name: "fixed", type: "any", ipam };
}

describeCases("static", [
  { name: "gives out what is configured", plugin: "static", config: network(dual) },
  {
    name: "answers in version 0.3.1",
    plugin: "static",
    config: network(dual, "0.3.1"),
    steps: [{ command: "ADD" }, { command: "DEL" }],
  },
  {
    name: "adds the addresses of CNI_ARGS",
    plugin: "static",
    config: network(dual),
    args: "IgnoreUnknown=1;IP=192.0.2.77/24;GATEWAY=192.0.2.1",
  },
  {
    name: "refuses an address without a prefix",
    plugin: "static",
    config: network({ type: "static", addresses: [{ address: "192.0.2.10" }] }),
    steps: [{ command: "ADD", code: 999 }, { command: "DEL" }],
  },
]);
