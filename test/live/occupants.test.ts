// Who stands on a master: found in whichever namespace, and told in words that lead an operator there.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { open, O_RDONLY } from "../../src/libc/file.ts";
import { Netns } from "../../src/netns/netns.ts";
import { visibleNamespaces } from "../../src/netns/visible.ts";
import { describeOccupants, findOccupants } from "../../src/plugins/common/occupants.ts";
import { describeNamespace } from "../../src/plugins/common/whereabouts.ts";
import { type Link, requireLink } from "../../src/rtnl/link.ts";
import { netnsIdOf } from "../../src/rtnl/netns-id.ts";
import { useLan } from "../kit/hooks.ts";
import type { PinnedNetns } from "../kit/node-netns.ts";
import { rtnlIn } from "../kit/rtnl-in.ts";

const lan = useLan({ nodes: 2 });
const node = () => lan().node();
const results = "/var/lib/cni/results";
const file = `${results}/polynic-occupants-test`;

let host: Netns;
let pods: PinnedNetns[];

beforeEach(() => {
  host = Netns.open(node().path);
  pods = [node().pod(), node().pod()];
});
afterEach(() => {
  host[Symbol.dispose]();
  for (const pod of pods) pod[Symbol.dispose]();
  rmSync(file, { force: true });
});

const place = () => ({ netns: host, isPod: false });
const eth0 = () => requireLink(host.rtnl, "eth0");
const pod = (index: number) => pods[index] ?? expect.fail(`there is no pod ${index}`);

// The other end of eth0, a veth, tells it as the device it stands on.
const isMacvlan = ({ kind }: Link) => kind === "macvlan";

/** A macvlan of a pod on eth0 of a node. */
function macvlan(of: PinnedNetns, name = "net1", on = node()): void {
  on.ip(`link add link eth0 name ${name} netns ${of.name} type macvlan mode bridge`);
}

/** What a runtime's cache of results says of the pod. */
function remember(of: PinnedNetns, cniArgs: readonly (readonly [string, string])[]): void {
  mkdirSync(results, { recursive: true });
  const names = { containerId: "abc", ifName: "eth0", networkName: "pods", netns: of.path };
  writeFileSync(file, JSON.stringify({ kind: "cniCacheV1", ...names, cniArgs, result: { cniVersion: "1.0.0" } }));
}

test("the id of another namespace is what links over there count in; none without such a link", () => {
  using inside = rtnlIn(pod(0).path);
  using fd = open(node().path, O_RDONLY);
  expect(netnsIdOf(inside, fd.number)).toBeUndefined();
  macvlan(pod(0));
  expect(netnsIdOf(inside, fd.number)).toBe(requireLink(inside, "net1").parentNetnsId);
});

test("each pinned namespace is seen once, and so is one that only a process is in", async () => {
  const process = Bun.spawn(["unshare", "--net", "sleep", "600"]);
  const visible = () => visibleNamespaces();
  // unshare(1) is in there first, and then becomes the program.
  const told = () => visible().flatMap((each) => (each.processId === process.pid ? [describeNamespace(each)] : []));
  await expect.poll(told, { timeout: 60_000 }).toEqual([`process ${process.pid} (sleep)`]);
  for (const { path } of pods) expect(visible().filter((each) => each.path === path)).toHaveLength(1);
  process.kill();
  await process.exited;
});

test("links of the node and of pods on the master are found, and no others", () => {
  node().ip("link add link eth0 name mv0 type macvlan mode bridge", "link add other type bridge");
  macvlan(pod(0));
  macvlan(pod(0), "net2");
  macvlan(pod(1));
  // The same numbers in another node's name.
  const stranger = lan().node(1).pod();
  macvlan(stranger, "net1", lan().node(1));
  const found = findOccupants(place(), eth0(), isMacvlan);
  const words = found.map(({ description }) => description);
  expect(words[0]).toBe("interface mv0 of the node");
  expect([...words].sort()).toEqual(
    [
      "interface mv0 of the node",
      `interface net1 of ${pod(0).path}`,
      `interface net2 of ${pod(0).path}`,
      `interface net1 of ${pod(1).path}`,
    ].sort(),
  );
  expect(describeOccupants(found)).toBe(`${words.slice(0, 3).join(", ")} and 1 more`);
  expect(findOccupants(place(), eth0(), ({ name }) => name === "net1", 1)).toHaveLength(1);
  expect(findOccupants(place(), eth0(), () => false)).toEqual([]);
  node().ip("link del mv0", "link del other");
  stranger[Symbol.dispose]();
});

test("a pod that the runtime's cache knows is told by its name, any other container by its id", () => {
  macvlan(pod(0));
  const words = () => findOccupants(place(), eth0(), isMacvlan).map(({ description }) => description);
  remember(pod(0), []);
  expect(words()).toEqual([`interface net1 of container abc (${pod(0).path})`]);
  remember(pod(0), [
    ["K8S_POD_NAMESPACE", "prod"],
    ["K8S_POD_NAME", "web"],
  ]);
  expect(words()).toEqual([`interface net1 of pod prod/web (${pod(0).path})`]);
});
