// whereabouts below macvlan, killed at each system call by which it changes the world (a DEL afterwards leaves nothing, and takes nobody else's
// address), and with each of them failing (ADD itself leaves nothing).
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { useLan } from "../kit/hooks.ts";
import { newRound, type Round, testSweeps } from "../kit/killed-plugin.ts";

const lan = useLan();
/** Of another pod, which is there all the time. */
const othersAddresses = ["192.0.2.1.json", "2001-db8--1.json"];

const config = (folder: string) => ({
  cniVersion: "1.1.0",
  name: "lan",
  type: "macvlan",
  master: "eth0",
  ipam: {
    type: "whereabouts",
    manifests: folder,
    data_dir: join(folder, "node"),
    range: "192.0.2.0/24",
    ipRanges: [{ range: "2001:db8::/64" }],
  },
});

async function round(): Promise<Round> {
  const current = newRound(lan().node(), config);
  await mustCallCni({ ...current.add, executable: join(polynicBin, "whereabouts"), containerId: "other" });
  return current;
}

const filesIn = (path: string): string[] => (existsSync(path) ? readdirSync(path).sort() : []);

function expectNoFiles({ folder }: Round): void {
  const objects = join(folder.path, ".state", "whereabouts");
  expect(filesIn(join(objects, "overlappingrangeipreservations"))).toEqual(othersAddresses);
  expect(filesIn(join(folder.path, "node", "journal"))).toEqual(["other:net1"]);
}

// What could not be taken back just then is for the runtime's DEL.
testSweeps({ round, expectNoFiles, isDelNeeded: true });
