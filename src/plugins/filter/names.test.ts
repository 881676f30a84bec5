import { expect, test } from "vitest";
import * as names from "./names.ts";

// Vectors of upstream: its own tests, and names that its binaries were seen to make.
const chains: readonly [network: string, containerId: string, prefix: string, want: string][] = [
  ["test", "1234", "", "CNI-2bbe0c48b91a7d1b8a6753a8"],
  ["test", "1234", "PREFIX-", "CNI-PREFIX-2bbe0c48b91a7d1b8"],
  ["testalongnamethatdoesnotmakesense", "1234", "", "CNI-374f33fe84ab0ed84dcdebe3"],
  ["net1", "ctr1", "", "CNI-85373d34c6846b6c53ee2e7f"],
  ["pnet", "ctr1", "", "CNI-d5afdba067c67065c2f03b7e"],
  ["pnet", "ctr1", "DN-", "CNI-DN-d5afdba067c67065c2f03"],
];
test.each(chains)(
  "the chain of network %s, container %s with prefix %j is %s",
  (network, containerId, prefix, want) => {
    expect(names.chainName(network, containerId, prefix)).toBe(want);
    expect(names.isChainName(want)).toBe(prefix === "");
  },
);

test("another container has another chain", () => {
  const long = "testalongnamethatdoesnotmakesense";
  expect(names.chainName(long, "1235")).not.toBe(names.chainName(long, "1234"));
});

const attachments: readonly [network: string, ifName: string, containerId: string, want: string][] = [
  ["unit-test", "eth0", "one", "6fd94d501e58f0aa-287fc69eff0574a2"],
  ["unit-test", "eth0", "two", "6fd94d501e58f0aa-d750b2c8f0f25d5f"],
  ["unit-test", "eth0", "three", "6fd94d501e58f0aa-a4d4adb82b669cfe"],
  ["unit-test", "eth0", "four", "6fd94d501e58f0aa-e766de567ef6c543"],
  ["alternate", "net1", "three", "82783ef24bdc7036-acb19d111858e348"],
  ["net6", "eth6", "ctr1", "4bd8f7a5c6ae28fc-7b360f7a75dd4d4e"],
];
test.each(attachments)(
  "rules of network %s, %s of container %s begin with %s",
  (network, ifName, containerId, want) => {
    const owner = { network, ifName, containerId };
    expect(names.attachmentHash(owner)).toBe(want);
    expect(want.startsWith(`${names.networkHash(network)}-`)).toBe(true);
    expect(names.nftComment(owner)).toBe(`${want}, net: ${network}, if: ${ifName}, id: ${containerId}`);
  },
);

test("a long comment is cut where nft cuts it, and quotes are left out", () => {
  const owner = { network: "a".repeat(100), ifName: 'e"0', containerId: "c".repeat(64) };
  expect(names.nftComment(owner)).toHaveLength(128);
  expect(names.nftComment({ ...owner, network: "n" })).toContain("if: e0, id: ccc");
  expect(names.nftComment({ ...owner, network: "é".repeat(60) })).toHaveLength(34 + 6 + 44);
});

test("the comment of iptables rules names network and container, and is read back", () => {
  expect(names.xtComment("net1", "ctr1")).toBe('name: "net1" id: "ctr1"');
  expect(names.parseXtComment('name: "net1" id: "ctr1"')).toEqual({ network: "net1", containerId: "ctr1" });
  expect(names.xtComment("n".repeat(300), "ctr1")).toHaveLength(255);
  for (const text of ["", 'dnat name: "a" id: "b"', 'name: "a"', names.xtComment("n".repeat(300), "ctr1")])
    expect(names.parseXtComment(text)).toBeUndefined();
});

test("the spoof check's names are made of container and interface", () => {
  expect(names.spoofCheckNames({ containerId: "ctr1", ifName: "eth0" })).toEqual({
    comment: "macspoofchk-ctr1-eth0",
    interfaceChain: "cni-br-iface-ctr1-eth0",
    macChain: "cni-br-iface-ctr1-eth0-mac",
  });
});
