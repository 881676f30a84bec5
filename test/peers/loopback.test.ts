import { describeCases } from "./describe-cases.ts";

const config = { cniVersion: "1.1.0", name: "lo", type: "loopback" };

describeCases("loopback", [
  { name: "sets lo up and down again", plugin: "loopback", config, ifName: "lo" },
  { name: "ignores the interface name it is given", plugin: "loopback", config, ifName: "net1" },
  {
    name: "answers in the version of the config",
    plugin: "loopback",
    config: { ...config, cniVersion: "0.4.0" },
    ifName: "lo",
    expected: [
      {
        line: /^1 ADD answer \/ result \/ (ips \/ \d \/ version|dns): peer has nothing/,
        reason: "the shape is that of the version too, which upstream's only stamps on",
      },
    ],
  },
  {
    name: "passes a previous result on",
    plugin: "loopback",
    config: { ...config, prevResult: { cniVersion: "1.1.0", interfaces: [{ name: "eth0" }], ips: [], dns: {} } },
    steps: [{ command: "ADD" }],
  },
  {
    name: "succeeds to delete from a pod that is gone",
    plugin: "loopback",
    config,
    steps: [
      { command: "ADD" },
      { command: "DEL", netns: "" },
      { command: "DEL", before: (site) => site.pod()[Symbol.dispose]() },
    ],
  },
]);
