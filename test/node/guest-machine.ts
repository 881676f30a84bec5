// What a guest of User Mode Linux lacks of a machine that kubelet, containerd and runc run on.
import { writeFileSync } from "node:fs";
import { runCommand } from "../kit/command.ts";
import { useLegacyIptables } from "../kernel/legacy-iptables.ts";

/** The kernel says nothing of clock and topology in /proc/cpuinfo, and kubelet (cAdvisor) ends without. */
const processors =
  "processor\t: 0\nvendor_id\t: User Mode Linux\ncpu MHz\t\t: 1000.000\nphysical id\t: 0\ncore id\t\t: 0\n\n";

/** Makes up for it, for the rest of the boot. */
export function becomeMachine(): void {
  // The API server labels its lease with the name.
  runCommand(["hostname", "guest"]);
  runCommand(["mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"]);
  writeFileSync("/sys/fs/cgroup/cgroup.subtree_control", "+cpu +io +memory +pids");
  writeFileSync("/run/cpuinfo", processors);
  runCommand(["mount", "--bind", "/run/cpuinfo", "/proc/cpuinfo"]);
  useLegacyIptables();
}
