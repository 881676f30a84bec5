// The VLAN walk-through: networks and pods of conf-examples/vlan on a whole node with two trunk ports and a default network by ptp, its trap included.
// And, as written, the networks of type ipvlan of the other two documents, which the tests of those have as macvlan where the machine has no ipvlan.
// All of it runs in a guest, kubelet and API server too: few machines' kernels have these kinds.
import { test } from "vitest";
import { cacheRoot, peerFolders } from "../kit/peer-tools.ts";
import { describeGuest } from "../kernel/describe-guest.ts";
import { cases } from "./vlan.guest.ts";

const aWhileMs = 1_800_000;

if (process.arch === "x64")
  describeGuest("VLANs of a node", new URL("vlan.guest.ts", import.meta.url), cases, {
    memoryMb: 3072,
    modules: ["ipv6", "8021q", "ipvlan", "macvlan", "overlay"],
    environment: { ...peerFolders("plugins", "kubernetes", "cri"), POLYNIC_CACHE: cacheRoot() },
    timeoutMs: aWhileMs,
  });
else test("VLANs of a node", ({ skip }) => skip(`user-mode-linux runs on x64 only, this machine is ${process.arch}`));
