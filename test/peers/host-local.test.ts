import type { Site } from "./compare.ts";
import { describeCases } from "./describe-cases.ts";

/** A network whose leases are kept in the site's folder. */
function network(ipam: object) {
  return ({ folder }: Site) => ({
    cniVersion: "1.1.0",
    name: "pool",
    type: "any",
    ipam: { type: "host-local", dataDir: folder, ...ipam },
  });
}

const small = network({ ranges: [[{ subnet: "192.0.2.0/29" }]] });
const dual = network({
  ranges: [[{ subnet: "192.0.2.0/24", rangeStart: "192.0.2.10" }], [{ subnet: "2001:db8::/64" }]],
  routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
});

describeCases("host-local", [
  { name: "leases an address of each range", plugin: "host-local", config: dual },
  {
    name: "gives the next pod the next address, and an interface its own",
    plugin: "host-local",
    config: small,
    steps: [
      { command: "ADD" },
      { command: "ADD", pod: 1 },
      { command: "ADD", ifName: "net2" },
      { command: "DEL" },
      { command: "ADD", pod: 2 },
    ],
  },
  {
    name: "gives the address that CNI_ARGS ask for",
    plugin: "host-local",
    config: small,
    args: "IgnoreUnknown=1;IP=192.0.2.5",
  },
  {
    name: "refuses a second lease for the same interface",
    plugin: "host-local",
    config: small,
    steps: [{ command: "ADD" }, { command: "ADD", code: 999 }],
  },
  {
    name: "says when the range is used up",
    plugin: "host-local",
    config: network({ ranges: [[{ subnet: "192.0.2.0/30" }]] }),
    steps: [{ command: "ADD" }, { command: "ADD", pod: 1, code: 999 }, { command: "DEL", pod: 1 }, { command: "DEL" }],
  },
]);
