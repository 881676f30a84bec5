// The executable, killed at each system call by which it changes the world (a DEL afterwards leaves nothing), and with each of them failing
// (ADD itself leaves nothing).
import { readdirSync } from "node:fs";
import { expect } from "vitest";
import { useLan } from "../kit/hooks.ts";
import { newRound, type Round, testSweeps } from "../kit/killed-plugin.ts";

const lan = useLan();

const config = (folder: string) => ({
  cniVersion: "1.1.0",
  name: "lan",
  type: "macvlan",
  master: "eth0",
  ipam: {
    type: "host-local",
    dataDir: folder,
    ranges: [[{ subnet: "192.0.2.0/24" }], [{ subnet: "2001:db8::/64" }]],
    routes: [{ dst: "0.0.0.0/0" }],
  },
});

/** host-local's leases: files named by their address. */
function leases({ folder }: Round): string[] {
  return readdirSync(folder.path, { recursive: true, encoding: "utf8" }).filter((name) =>
    /(^|[/@])(192\.0\.2|2001:db8)[^/]*$/.test(name),
  );
}

testSweeps({
  round: () => newRound(lan().node(), config),
  expectNoFiles: (round) => expect(leases(round)).toEqual([]),
  isDelNeeded: false,
});
