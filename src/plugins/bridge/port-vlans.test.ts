import { expect, test } from "vitest";
import type { BridgeVlan } from "../../rtnl/bridge-vlan.ts";
import { vlanRequests, wantedVlans } from "./port-vlans.ts";

const native = (id: number): BridgeVlan => ({ id, pvid: true, untagged: true });

test.each<[string, number, number[], BridgeVlan[]]>([
  ["none", 0, [], []],
  ["a VLAN, its frames without a tag", 100, [], [native(100)]],
  ["a trunk, with VLAN 1 for frames without a tag", 0, [5], [native(1), { id: 5 }]],
  ["a trunk and a VLAN", 100, [5, 7], [native(100), { id: 5 }, { id: 7 }]],
  [
    "runs of a trunk as ranges",
    0,
    [3, 4, 5, 7, 9, 10],
    [native(1), { id: 3, lastId: 5 }, { id: 7 }, { id: 9, lastId: 10 }],
  ],
  ["a VLAN that is in the trunk, once", 100, [99, 100, 101], [native(100), { id: 99 }, { id: 101 }]],
  ["VLAN 1 of a trunk, once", 0, [1, 2], [native(1), { id: 2 }]],
])("a port is to be in %s", (_, vlan, trunk, want) => {
  expect(wantedVlans({ vlan, trunk, preserveDefaultVlan: false })).toEqual(want);
});

test.each<[string, number, boolean, number | undefined, string[]]>([
  [
    "leaves the bridge's default VLAN",
    100,
    false,
    1,
    ["delete VLAN 1 from bridge port #7", "add VLAN 100 to bridge port #7"],
  ],
  [
    "leaves a default VLAN of another number",
    100,
    false,
    9,
    ["delete VLAN 9 from bridge port #7", "add VLAN 100 to bridge port #7"],
  ],
  ["keeps the default VLAN that is to be preserved", 100, true, 1, ["add VLAN 100 to bridge port #7"]],
  ["has nothing to leave where there is no default", 100, false, 0, ["add VLAN 100 to bridge port #7"]],
  ["has nothing to leave on a bridge that does not say", 100, false, undefined, ["add VLAN 100 to bridge port #7"]],
  ["is left alone without a VLAN", 0, false, 1, []],
])("a port %s", (_, vlan, preserveDefaultVlan, bridgeDefault, labels) => {
  const requests = vlanRequests(7, { vlan, trunk: [], preserveDefaultVlan }, bridgeDefault);
  expect(requests.map(({ label }) => label)).toEqual(labels);
});
