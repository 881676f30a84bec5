// What becomes of a bridge's pods: CHECK after somebody was at it, DEL in all circumstances, ADD that fails at each step, STATUS and GC.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CniError } from "../../src/cni/error.ts";
import { emptyResult, type Result } from "../../src/cni/result.ts";
import { parsePrefix } from "../../src/ip/prefix.ts";
import { parseIp } from "../../src/ip/address.ts";
import type { JsonObject } from "../../src/json/value.ts";
import { BuiltinCaller } from "../kit/builtin-caller.ts";
import { diff, leftovers } from "../kit/diff.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { NodeNetns, type PinnedNetns } from "../kit/node-netns.ts";
import { resultIp, ScriptedIpam } from "../kit/scripted-ipam.ts";
import { snapshot } from "../kit/snapshot.ts";

const folder = useTemporaryFolder();

let node: NodeNetns;
let pod: PinnedNetns;
let caller: BuiltinCaller;
let ipam: ScriptedIpam;

const config = (own: JsonObject = {}) => ({ type: "bridge", isGateway: true, ipam: { type: "scripted" }, ...own });
/** Every rule that there can be, besides. */
const everything = { ipMasq: true, ipMasqBackend: "nftables", macspoofchk: true };

/** The node's ends of pairs. */
const ports = () => Object.keys(snapshot(node.path).links).filter((name) => name.startsWith("veth"));
const hasPort = () => node.run("ip", "-o", "link", "show", "type", "veth").includes("veth");

beforeEach(() => {
  node = new NodeNetns();
  pod = node.pod();
  ipam = new ScriptedIpam({ ips: [resultIp("10.1.2.5/24"), resultIp("fd00:1::5/64")] }, hasPort);
  caller = new BuiltinCaller(node, [ipam.plugin]);
});
afterEach(() => {
  caller[Symbol.dispose]();
  node[Symbol.dispose]();
});

describe("CHECK", () => {
  let result: Result;
  beforeEach(async () => {
    result = await caller.add({ config: config(), pod });
    ipam.forget();
  });

  const check = (own: JsonObject = {}, prevResult = result) =>
    caller.call({ verb: "CHECK", config: config(own), pod, prevResult });
  /** The same line with the name of the node's end in place of PORT. */
  const named = (line: string) => line.replaceAll("PORT", result.interfaces[1]?.name ?? "");

  test("asks the IPAM plugin too, and passes on what that says", async () => {
    await check();
    expect(ipam.asked).toEqual(["CHECK with link"]);
    ipam.answers = {
      check: () => {
        throw new CniError(103, "no lease");
      },
    };
    await expect(check()).rejects.toMatchObject({ code: 103, message: "no lease" });
  });

  test("does without an IPAM plugin", async () => {
    const plain = await caller.add({ config: config({ ipam: {} }), pod, ifName: "net2" });
    await caller.call({ verb: "CHECK", config: config({ ipam: {} }), pod, ifName: "net2", prevResult: plain });
  });

  test.each<[string, string[]]>([
    ["somebody listens on the bridge", ["link set cni0 promisc on"]],
    ["the bridge has more addresses", ["addr add 10.9.9.9/24 dev cni0"]],
    ["the bridge has more ports", ["link add p0 type veth peer name p1", "link set p0 master cni0 up"]],
  ])("is content when %s", async (_, lines) => {
    node.ip(...lines);
    await check();
  });

  test("is content with a result whose MACs are in capitals", async () => {
    const interfaces = result.interfaces.map((each) => ({ ...each, mac: (each.mac ?? "").toUpperCase() }));
    await check({}, { ...result, interfaces });
  });

  test.each<[string, string[], string]>([
    ["the bridge is gone", ["link del cni0"], "Interface name cni0 not found: the bridge of this network is gone"],
    [
      "the bridge is a device of another kind",
      ["link del cni0", "link add cni0 type veth peer name other"],
      "Interface cni0 does not have link type of bridge",
    ],
    ["the bridge has another MAC", ["link set cni0 address 02:00:00:00:00:77"], "it has 02:00:00:00:00:77"],
    ["the bridge is down", ["link set cni0 down"], "bridge cni0 is down"],
    [
      "the node's end has left the bridge",
      ["link set PORT nomaster"],
      "CNI veth created for bridge cni0 was not found: PORT is not a port of cni0",
    ],
    ["the node's end has another MAC", ["link set PORT address 02:00:00:00:00:77"], "it has 02:00:00:00:00:77"],
    ["the node's end is down", ["link set PORT down"], "bridge port PORT is down"],
    ["hairpin mode is on", ["link set PORT type bridge_slave hairpin on"], "hairpin mode of bridge port PORT is on"],
    ["the port is isolated", ["link set PORT type bridge_slave isolated on"], "isolation of bridge port PORT is on"],
    ["the gateway is gone", ["addr del 10.1.2.1/24 dev cni0"], "gateway 10.1.2.1/24 is not on cni0"],
  ])("finds that %s", async (_, lines, message) => {
    node.ip(...lines.map(named));
    await expect(check()).rejects.toMatchObject({
      code: 999,
      message: expect.stringContaining(named(message)) as string,
    });
  });

  test.each<[string, string[], string]>([
    ["an address is gone", ["addr del 10.1.2.5/24 dev net1"], "Failed to match addr 10.1.2.5/24 on interface net1"],
    ["the interface is down", ["link set net1 down"], "interface net1 is down"],
    ["the interface is gone", ["link del net1"], "container Interface name in prevResult: net1 not found"],
    [
      "the MAC is another",
      ["link set net1 address 02:00:00:00:00:77"],
      "doesn't match container Mac: 02:00:00:00:00:77",
    ],
  ])("finds in the pod that %s", async (_, lines, message) => {
    pod.ip(...lines);
    await expect(check()).rejects.toMatchObject({ code: 999, message: expect.stringContaining(message) as string });
  });

  test("finds another pair between pod and bridge", async () => {
    const mac = result.interfaces[2]?.mac;
    pod.ip("link del net1");
    node.ip(`link add p0 type veth peer name net1 address ${mac} netns ${pod.name}`, "link set p0 master cni0 up");
    await expect(check()).rejects.toThrow("the peer of net1 is p0, of which prevResult does not know");
  });

  test("finds that the bridge is not promiscuous, and that the node does not forward", async () => {
    await expect(check({ promiscMode: true })).rejects.toThrow("configured Promisc Mode true doesn't match");
    node.run("sysctl", "-qw", "net.ipv4.ip_forward=0");
    await expect(check()).rejects.toThrow("the gateway does not forward: sysctl net/ipv4/ip_forward is not 1");
  });
});

describe("DEL", () => {
  let before: unknown;
  let result: Result;
  beforeEach(async () => {
    // The bridge and what all pods share are there.
    await caller.add({ config: config(everything), pod });
    await caller.call({ verb: "DEL", config: config(everything), pod });
    before = snapshot(node.path);
    result = await caller.add({ config: config(everything), pod });
    ipam.forget();
  });

  const del = (of: PinnedNetns | string = pod, own: JsonObject = {}, prevResult?: Result) =>
    caller.call({
      verb: "DEL",
      config: config({ ...everything, ...own }),
      pod: of,
      ...(prevResult === undefined ? {} : { prevResult }),
    });

  afterEach(() => {
    expect(leftovers(before, snapshot(node.path))).toEqual([]);
  });

  test("takes the link before the address is given back, and may come twice", async () => {
    await del();
    await del();
    expect(ipam.asked).toEqual(["DEL without link", "DEL without link"]);
  });

  test.each<[string, () => string]>([
    ["is gone", () => (pod[Symbol.dispose](), pod.path)],
    ["was never told, and is there", () => ""],
    ["left a plain file", () => folder().write("file", "")],
  ])("leaves nothing when the namespace %s", async (_, path) => {
    await del(path());
    expect(ipam.asked).toEqual(["DEL without link"]);
  });

  test("leaves nothing when the pod has renamed the interface", async () => {
    pod.ip("link set net1 down", "link set net1 name mine");
    await del();
    expect(ipam.asked).toEqual(["DEL without link"]);
  });

  test("finds a pair without alias by the result, as upstream makes it", async () => {
    const name = result.interfaces[1]?.name ?? "";
    node.ip(`link set ${name} down`, `link set ${name} name vethdeadbeef`, "link set vethdeadbeef alias ''");
    const interfaces = result.interfaces.map((each) => (each.name === name ? { ...each, name: "vethdeadbeef" } : each));
    await del("", {}, { ...result, interfaces });
    expect(ipam.asked).toEqual(["DEL without link"]);
  });

  test("does not take a stranger for the pair that the result names", async () => {
    const name = result.interfaces[1]?.name ?? "";
    await del("", {}, result);
    node.ip(`link add ${name} type veth peer name other`);
    await del("", {}, result);
    expect(ports()).toEqual([name]);
    node.ip(`link del ${name}`);
  });

  test.each<[string, JsonObject]>([
    ["can't be read", { vlan: 5000 }],
    ["contradicts itself", { hairpinMode: true, promiscMode: true }],
    ["names another bridge", { bridge: "br9" }],
    ["is of other types throughout", { bridge: 1, mtu: "many", ipMasq: "yes", macspoofchk: 1, vlanTrunk: 7 }],
  ])("leaves nothing when the config %s", async (_, own) => {
    await del("", own);
    expect(ipam.asked).toEqual(["DEL without link"]);
  });

  test("goes on when one part fails, and reports it", async () => {
    ipam.answers = {
      del: () => {
        throw new CniError(104, "the lease is stuck");
      },
    };
    await expect(del()).rejects.toMatchObject({ code: 104, message: "the lease is stuck" });
  });
});

test("DEL keeps the address when the link can't be deleted", async () => {
  await expect(caller.call({ verb: "DEL", config: config(), pod, ifName: "lo" })).rejects.toThrow(
    'failed to delete "lo": operation not supported',
  );
  expect(ipam.asked).toEqual([]);
});

describe("an ADD that fails leaves nothing of the pod and gives the address back:", () => {
  let before: unknown;
  beforeEach(async () => {
    await caller.add({ config: config(everything), pod });
    await caller.call({ verb: "DEL", config: config(everything), pod });
    before = [snapshot(pod.path), snapshot(node.path)];
    ipam.forget();
  });

  async function refused(own: JsonObject = {}): Promise<CniError> {
    const error: unknown = await caller
      .add({ config: config({ ...everything, ...own }), pod })
      .catch((reason: unknown) => reason);
    expect(diff(before, [snapshot(pod.path), snapshot(node.path)])).toEqual([]);
    if (error instanceof CniError) return error;
    throw new Error(`expected a CNI error, got ${String(error)}`);
  }

  test("no namespace", async () => {
    await expect(caller.add({ config: config(), pod: "/run/netns/nowhere" })).rejects.toMatchObject({ code: 8 });
    expect(ipam.asked).toEqual([]);
  });

  test("the name is taken", async () => {
    pod.ip("link add net1 type bridge");
    before = [snapshot(pod.path), snapshot(node.path)];
    expect((await refused()).message).toMatch(
      /^container veth name \("net1"\) peer provided \("veth[0-9a-f]{8}"\) already exists: pod .* has an interface net1/,
    );
    expect(ipam.asked).toEqual([]);
  });

  test("the MTU is too small", async () => {
    expect((await refused({ mtu: 60 })).message).toContain("invalid argument");
    expect(ipam.asked).toEqual([]);
  });

  test("the IPAM plugin refuses", async () => {
    ipam.answers = {
      add: () => {
        throw new CniError(50, "no free address");
      },
    };
    expect(await refused()).toMatchObject({ code: 50, message: "no free address" });
    expect(ipam.asked).toEqual(["DEL with link"]);
  });

  test("the IPAM plugin has no address", async () => {
    ipam.given = emptyResult;
    expect((await refused()).message).toBe("IPAM plugin returned missing IP config");
    expect(ipam.asked).toEqual(["ADD with link", "DEL without link"]);
  });

  test("a route is out of reach", async () => {
    ipam.given = { ...ipam.given, routes: [{ dst: parsePrefix("198.51.100.0/24")!, gw: parseIp("203.0.113.1")! }] };
    expect((await refused()).message).toContain("failed to add route '198.51.100.0/24 via 203.0.113.1 dev net1'");
    expect(ipam.asked).toEqual(["ADD with link", "DEL without link"]);
  });

  test("the bridge is another network's gateway", async () => {
    ipam.given = { ...ipam.given, ips: [resultIp("10.8.0.5/16")] };
    expect((await refused()).message).toContain('"cni0" already has an IP address different from 10.8.0.1/16');
    expect(ipam.asked).toEqual(["ADD with link", "DEL without link"]);
  });

  test("a gateway is no address that a node can have", async () => {
    ipam.given = { ...ipam.given, ips: [resultIp("fd00:7::5/64", "ff02::1")] };
    expect((await refused()).message).toContain('could not add IP address ff02::1/64 to "cni0"');
    expect(ipam.asked).toEqual(["ADD with link", "DEL without link"]);
  });
});

describe("STATUS", () => {
  const status = () => caller.call({ verb: "STATUS", config: config(), pod: "" });

  test("is well when the IPAM plugin is, whether the bridge is there or not", async () => {
    await status();
    await caller.add({ config: config(), pod });
    await status();
    expect(ipam.asked).toEqual(["STATUS without link", "ADD with link", "STATUS with link"]);
  });

  test("says what the IPAM plugin says", async () => {
    ipam.answers = {
      status: () => {
        throw new CniError(50, "no free address");
      },
    };
    await expect(status()).rejects.toMatchObject({ code: 50, message: "no free address" });
  });
});

describe("GC", () => {
  const gc = (valid: readonly JsonObject[], own: JsonObject = {}) =>
    caller.call({ verb: "GC", config: config({ "cni.dev/valid-attachments": valid, ...own }), pod: "" });

  test("removes the pairs of attachments that are no more, and of this network only", async () => {
    const kept = node.pod();
    const others = node.pod();
    await caller.add({ config: config(), pod });
    await caller.add({ config: config(), pod, ifName: "net2" });
    const valid = await caller.add({ config: config(), pod: kept, containerId: "ctr1" });
    const foreign = await caller.add({ config: { ...config(), name: "other" }, pod: others, containerId: "ctr2" });
    ipam.forget();
    await gc([{ containerID: "ctr1", ifname: "net1" }]);
    const names = [valid, foreign].map(({ interfaces }) => interfaces[1]?.name);
    expect(new Set(ports())).toEqual(new Set(names));
    expect(ipam.asked).toEqual(["GC ctr1/net1"]);
    await gc([]);
    expect(ports()).toEqual([foreign.interfaces[1]?.name]);
  });

  test("does the rest when one part fails", async () => {
    await caller.add({ config: config(), pod });
    ipam.answers = {
      gc: () => {
        throw new CniError(104, "stuck");
      },
    };
    await expect(gc([])).rejects.toMatchObject({ code: 104 });
    expect(ports()).toEqual([]);
  });
});
