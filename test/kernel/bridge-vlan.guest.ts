import assert from "node:assert/strict";
import { isNetlinkError } from "../../src/netlink/error.ts";
import { addBridgeVlans, type BridgeVlan, deleteBridgeVlans, listBridgeVlans } from "../../src/rtnl/bridge-vlan.ts";
import type { Bridge } from "../../src/rtnl/kinds/bridge.ts";
import { addLink, setLink } from "../../src/rtnl/link-change.ts";
import { createLink, type Link, requireLink } from "../../src/rtnl/link.ts";
import type { Rtnl } from "../../src/rtnl/rtnl.ts";
import { NodeNetns } from "../kit/node-netns.ts";
import { rtnlIn } from "../kit/rtnl-in.ts";
import { snapshot } from "../kit/snapshot.ts";
import type { GuestCases } from "./uml.ts";

interface Scene {
  readonly node: NodeNetns;
  readonly rtnl: Rtnl;
  readonly bridge: Link;
  readonly port: Link;
}

/** A bridge that filters VLANs and one port of it; all of it is gone afterwards. */
function withPort(body: (scene: Scene) => void, data: Partial<Bridge> = {}): void {
  using node = new NodeNetns();
  using rtnl = rtnlIn(node.path);
  const bridge = createLink(rtnl, { name: "br0", data: { kind: "bridge", vlanFiltering: true, ...data } });
  rtnl.run(addLink({ name: "p0", data: { kind: "veth", peer: { name: "p1" } }, master: bridge.index }));
  body({ node, rtnl, bridge, port: requireLink(rtnl, "p0") });
}

function vlansOf({ rtnl }: Scene, device: Link): readonly BridgeVlan[] {
  return listBridgeVlans(rtnl).find((each) => each.device === device.index)?.vlans ?? [];
}

function plain(id: number, lastId?: number): BridgeVlan {
  return { id, lastId, pvid: false, untagged: false };
}

export const cases: GuestCases = {
  "a bridge tells that it filters, and its default VLAN": () => {
    withPort(
      ({ rtnl }) => {
        assert.partialDeepStrictEqual(requireLink(rtnl, "br0").data, {
          vlanFiltering: true,
          vlanDefaultPvid: 7,
          vlanProtocol: 0x88a8,
        });
      },
      { vlanDefaultPvid: 7, vlanProtocol: 0x88a8 },
    );
  },
  "filtering is off unless asked for, and can be turned on": () => {
    withPort(
      ({ rtnl }) => {
        assert.partialDeepStrictEqual(requireLink(rtnl, "br0").data, { vlanFiltering: false });
        rtnl.run(setLink("br0", { data: { kind: "bridge", vlanFiltering: true } }));
        assert.partialDeepStrictEqual(requireLink(rtnl, "br0").data, { vlanFiltering: true });
      },
      { vlanFiltering: false },
    );
  },
  "a new port is in VLAN 1 only": () => {
    withPort((scene) =>
      assert.deepEqual(vlansOf(scene, scene.port), [{ id: 1, lastId: undefined, pvid: true, untagged: true }]),
    );
  },
  "a PVID and tagged ranges, read back by us and by the bridge command": () => {
    withPort((scene) => {
      const { rtnl, port, node } = scene;
      rtnl.run(
        deleteBridgeVlans({ device: port }, [{ id: 1 }]),
        addBridgeVlans({ device: port }, [{ id: 100, pvid: true, untagged: true }]),
        addBridgeVlans({ device: port }, [{ id: 200 }, { id: 300, lastId: 302 }, { id: 4094 }]),
      );
      assert.deepEqual(vlansOf(scene, port), [
        { id: 100, lastId: undefined, pvid: true, untagged: true },
        plain(200),
        plain(300, 302),
        plain(4094),
      ]);
      assert.deepEqual(snapshot(node.path).vlans["p0"]?.["vlans"], [
        { vlan: 100, flags: ["PVID", "Egress Untagged"] },
        { vlan: 200 },
        { vlan: 300 },
        { vlan: 301 },
        { vlan: 302 },
        { vlan: 4094 },
      ]);
    });
  },
  "deleting a range takes what is there": () => {
    withPort((scene) => {
      scene.rtnl.run(addBridgeVlans({ device: scene.port }, [{ id: 10, lastId: 20 }]));
      scene.rtnl.run(deleteBridgeVlans({ device: scene.port }, [{ id: 1, lastId: 15 }]));
      assert.deepEqual(vlansOf(scene, scene.port), [plain(16, 20)]);
      scene.rtnl.run(deleteBridgeVlans({ device: scene.port }, [{ id: 10, lastId: 20 }, { id: 4000 }]));
      assert.deepEqual(vlansOf(scene, scene.port), []);
    });
  },
  "the bridge's own device": () => {
    withPort((scene) => {
      scene.rtnl.run(addBridgeVlans({ device: scene.bridge, self: true }, [{ id: 55 }]));
      assert.deepEqual(vlansOf(scene, scene.bridge).at(-1), plain(55));
    });
  },
  "a device that is no port is refused by name": () => {
    withPort(({ rtnl }) => {
      const lo = requireLink(rtnl, "lo");
      const [error] = rtnl.batch([addBridgeVlans({ device: lo }, [{ id: 5 }])]);
      assert.ok(isNetlinkError(error));
      assert.match(error.message, /^add VLAN 5 to bridge port lo: /);
    });
  },
};
