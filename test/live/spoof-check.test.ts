import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseMac } from "../../src/ip/mac.ts";
import { Netns } from "../../src/netns/netns.ts";
import {
  checkSpoofCheck,
  gcSpoofCheck,
  setupSpoofCheck,
  type SpoofCheckSpec,
  teardownSpoofCheck,
} from "../../src/plugins/filter/spoof-check.ts";
import { UndoScope } from "../../src/undo/undo.ts";
import { NodeNetns } from "../kit/node-netns.ts";

const mac = parseMac("02:00:00:00:00:01") ?? expect.fail();
const other = parseMac("02:00:00:00:00:02") ?? expect.fail();
const own: SpoofCheckSpec = { containerId: "ctr1", ifName: "eth0", hostInterface: "veth0", mac };

let node: NodeNetns;
let host: Netns;
beforeEach(() => {
  node = new NodeNetns();
  host = Netns.open(node.path);
});
afterEach(() => {
  host[Symbol.dispose]();
  node[Symbol.dispose]();
});

function setup(spec: SpoofCheckSpec): UndoScope {
  const undo = new UndoScope();
  setupSpoofCheck(host, spec, undo);
  return undo;
}

function listed(): string {
  return node.run("nft", "list", "ruleset");
}

const emptyEntry = `table bridge nat {
	chain PREROUTING {
		type filter hook prerouting priority dstnat; policy accept;
	}
}
`;

describe("a spoof check", () => {
  test("has the objects, names and comments of upstream's", () => {
    setup(own);
    expect(listed()).toBe(`table bridge nat {
	chain PREROUTING {
		type filter hook prerouting priority dstnat; policy accept;
		iifname "veth0" jump cni-br-iface-ctr1-eth0 comment "macspoofchk-ctr1-eth0"
	}

	chain cni-br-iface-ctr1-eth0 {
		jump cni-br-iface-ctr1-eth0-mac comment "macspoofchk-ctr1-eth0"
	}

	chain cni-br-iface-ctr1-eth0-mac {
		ether saddr 02:00:00:00:00:01 return comment "macspoofchk-ctr1-eth0"
		drop comment "macspoofchk-ctr1-eth0"
	}
}
`);
    checkSpoofCheck(host, own);
  });

  test("set up again for another port and MAC leaves nothing of the first", () => {
    setup({ ...own, hostInterface: "veth9", mac: other });
    setup(own);
    expect(listed()).not.toContain("veth9");
    expect(listed().match(/veth0/g)).toHaveLength(1);
    checkSpoofCheck(host, own);
  });

  test("is torn down by container and interface, again and again, and others stay", () => {
    setup(own);
    setup({ ...own, ifName: "eth1", hostInterface: "veth1" });
    teardownSpoofCheck(host, { containerId: "ctr1", ifName: "eth0" });
    teardownSpoofCheck(host, { containerId: "ctr1", ifName: "eth0" });
    expect(listed()).not.toContain("eth0 ");
    checkSpoofCheck(host, { ...own, ifName: "eth1", hostInterface: "veth1" });
    teardownSpoofCheck(host, { containerId: "ctr1", ifName: "eth1" });
    expect(listed()).toBe(emptyEntry);
  });

  test("of a node that never had one is torn down as well", () => {
    teardownSpoofCheck(host, own);
    gcSpoofCheck(host, []);
    expect(listed()).toBe("");
  });

  test("is taken back when a later step fails", async () => {
    expect(await setup(own).unwind()).toEqual([]);
    expect(listed()).toBe(emptyEntry);
  });

  const holes: readonly [string, string[], string][] = [
    ["the jump is gone", ["flush", "chain", "bridge", "nat", "PREROUTING"], "no rule leads from veth0"],
    ["the middle is gone", ["flush", "chain", "bridge", "nat", "cni-br-iface-ctr1-eth0"], "is empty"],
    ["the end is gone", ["flush", "chain", "bridge", "nat", "cni-br-iface-ctr1-eth0-mac"], "alone"],
    ["somebody let all pass", ["insert", "rule", "bridge", "nat", "cni-br-iface-ctr1-eth0-mac", "return"], "alone"],
  ];
  test.each(holes)("fails its CHECK when %s", (_, command, want) => {
    setup(own);
    node.run("nft", ...command);
    expect(() => checkSpoofCheck(host, own)).toThrow(want);
  });

  test("fails its CHECK for another port or MAC", () => {
    setup(own);
    expect(() => checkSpoofCheck(host, { ...own, hostInterface: "veth1" })).toThrow("no rule leads from veth1");
    expect(() => checkSpoofCheck(host, { ...own, mac: other })).toThrow("does not let pass 02:00:00:00:00:02 alone");
  });

  test("is collected when its port is gone and no valid attachment claims it", () => {
    node.ip("link add veth0 type veth peer name peer0");
    setup(own);
    for (const containerId of ["dead", "claimed"]) setup({ ...own, containerId, hostInterface: `v-${containerId}` });
    gcSpoofCheck(host, [{ containerId: "claimed", ifName: "eth0" }]);
    expect(listed()).not.toContain("dead");
    expect(listed()).toContain("v-claimed");
    checkSpoofCheck(host, own);
    gcSpoofCheck(host, []);
    expect(listed()).not.toContain("claimed");
    checkSpoofCheck(host, own);
  });
});

test("only packets from the pod's own MAC pass the bridge", () => {
  const pod = node.pod();
  node.ip(
    "link add br0 type bridge",
    "link set br0 up",
    "addr add 10.5.0.1/24 dev br0",
    `link add veth0 type veth peer name eth0 netns ${pod.name}`,
    "link set veth0 master br0 up",
  );
  pod.ip("link set eth0 address 02:00:00:00:00:01 up", "addr add 10.5.0.2/24 dev eth0");
  setup(own);
  expect(pod.reaches("10.5.0.1")).toBe(true);
  pod.ip("link set eth0 down", "link set eth0 address 02:00:00:00:00:02", "link set eth0 up");
  expect(pod.reaches("10.5.0.1")).toBe(false);
  teardownSpoofCheck(host, own);
  expect(pod.reaches("10.5.0.1")).toBe(true);
});
