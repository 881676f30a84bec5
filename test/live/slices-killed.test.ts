// A dual-stack network in slices below macvlan, killed at each system call by which it changes the world (a DEL afterwards leaves nothing, and takes
// nobody else's addresses), and with each of them failing (ADD itself leaves nothing).
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { tryLockFile } from "../../src/libc/lock.ts";
import { mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { useLan } from "../kit/hooks.ts";
import { newRound, type Round, testSweeps } from "../kit/killed-plugin.ts";

const lan = useLan();
const environment = { NODENAME: "a" };
/** Of another pod, which is there all the time. */
const othersAddresses = ["192.0.2.1", "2001:db8::1"];

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
    node_slice_size: "/28",
    enable_overlapping_ranges: false,
  },
});

async function round(): Promise<Round> {
  const current = newRound(lan().node(), config);
  const path = current.folder.path;
  const objects = join(path, ".state", "whereabouts", "nodeslicepools");
  mkdirSync(objects, { recursive: true });
  const allocations = ["192.0.2.0/28", "2001:db8::/124"].map((sliceRange) => ({ nodeName: "a", sliceRange }));
  const object = {
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "NodeSlicePool",
    metadata: { name: "lan" },
    spec: { range: "192.0.2.0/24", sliceSize: "/28" },
    status: { allocations },
  };
  writeFileSync(join(objects, "lan.json"), JSON.stringify(object));
  mkdirSync(join(path, "node", "slices"), { recursive: true });
  // As if somebody were writing the pools all the time: what a killed call starts would outlive the round.
  const writer = tryLockFile(join(path, "node", "slices", ".writer"));
  const call = { executable: join(polynicBin, "whereabouts"), containerId: "other", env: environment };
  await mustCallCni({ ...current.add, ...call });
  return {
    ...current,
    add: { ...current.add, env: environment },
    del: { ...current.del, env: environment },
    [Symbol.dispose]: () => {
      writer?.[Symbol.dispose]();
      current[Symbol.dispose]();
    },
  };
}

function expectNoFiles({ folder }: Round): void {
  const addresses = readdirSync(join(folder.path, "node", "slices", "lan")).filter((name) => !name.startsWith("."));
  expect(addresses.sort()).toEqual(othersAddresses);
  expect(readdirSync(join(folder.path, "node", "journal"))).toEqual(["other:net1"]);
}

// What could not be taken back just then is for the runtime's DEL.
testSweeps({ round, expectNoFiles, isDelNeeded: true });
