// Deleting a pod's links: one by one, all at once, and where there is nothing to delete.
import { afterEach, beforeEach, expect, test } from "vitest";
import { Netns } from "../../src/netns/netns.ts";
import { NetnsRef } from "../../src/netns/ref.ts";
import { deleteLinks, removeLink } from "../../src/plugins/common/remove-link.ts";
import { listLinks } from "../../src/rtnl/link.ts";
import { NodeNetns, type PinnedNetns } from "../kit/node-netns.ts";

let node: NodeNetns;
let pod: PinnedNetns;
let netns: Netns;

beforeEach(() => {
  node = new NodeNetns();
  pod = node.pod();
  netns = Netns.open(pod.path);
});
afterEach(() => {
  netns[Symbol.dispose]();
  node[Symbol.dispose]();
});

const names = () => listLinks(netns.rtnl).map(({ name }) => name);

function addLinks(...links: string[]): void {
  pod.ip(...links.map((name) => `link add ${name} type bridge`));
}

test("links of several kinds go together, and others stay", () => {
  node.ip(`link add veth0 type veth peer name net1 netns ${pod.name}`);
  addLinks("net2", "net3", "other");
  pod.ip("link add link net2 name net4 type macvlan", "link set net2 up");
  deleteLinks(netns, ["net1", "net2", "net3", "net4"]);
  expect(names()).toEqual(["lo", "other"]);
  expect(node.run("ip", "link")).not.toContain("veth0");
});

test("names that are missing are fine, all of them too, and no names at all", () => {
  addLinks("net1");
  deleteLinks(netns, ["net0", "net1", "net9"]);
  deleteLinks(netns, ["net0", "net1"]);
  deleteLinks(netns, []);
  expect(names()).toEqual(["lo"]);
});

test("a device that can't be deleted does not keep the others, and stays in its group", () => {
  addLinks("net1", "net2");
  expect(() => deleteLinks(netns, ["net1", "lo", "net2"])).toThrow(
    "failed to delete net1, lo, net2 together: operation not supported; one of them is a device that can't be deleted; the others are gone",
  );
  expect(listLinks(netns.rtnl)).toMatchObject([{ name: "lo", group: 0 }]);
});

test("one link goes by its name, and a second time is fine", () => {
  using ref = new NetnsRef(pod.path);
  addLinks("net1", "net2");
  removeLink(ref, "net1");
  removeLink(ref, "net1");
  expect(names()).toEqual(["lo", "net2"]);
});

test("a namespace that is gone has no links", () => {
  for (const path of ["", "/run/netns/nowhere", "/dev/null/x"]) {
    using ref = new NetnsRef(path);
    removeLink(ref, "net1");
  }
});
