// The packet filter rules of ipMasq and macspoofchk: ours and the Go bridge plugin's are the same, and each side removes the other's.
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseMac } from "../../src/ip/mac.ts";
import { parsePrefix, type Prefix } from "../../src/ip/prefix.ts";
import { silentLogger } from "../../src/log/logger.ts";
import { Netns } from "../../src/netns/netns.ts";
import {
  checkMasquerade,
  gcMasquerade,
  type MasqueradeBackend,
  setupMasquerade,
  teardownMasquerade,
} from "../../src/plugins/filter/masquerade.ts";
import { checkSpoofCheck, setupSpoofCheck, teardownSpoofCheck } from "../../src/plugins/filter/spoof-check.ts";
import { UndoScope } from "../../src/undo/undo.ts";
import { mustCallCni } from "../kit/cni-caller.ts";
import { leftovers } from "../kit/diff.ts";
import { NodeNetns } from "../kit/node-netns.ts";
import { peerTools } from "../kit/peer-tools.ts";
import { snapshot } from "../kit/snapshot.ts";

interface Attachment {
  readonly hostInterface: string;
  readonly mac: Uint8Array;
}

interface BridgeResult {
  readonly interfaces: readonly { readonly name: string; readonly mac: string; readonly sandbox?: string }[];
}

const owner = { network: "net1", containerId: "ctr1", ifName: "eth0" };
const texts = ["10.1.2.2/24", "fd00:1::2/64"];
const addresses = texts.map((text): Prefix => parsePrefix(text) ?? expect.fail(text));

/** The Go bridge plugin; without a back end it makes no rules at ADD, though it removes what it finds at DEL. */
async function bridge(node: NodeNetns, command: "ADD" | "DEL", backend?: MasqueradeBackend): Promise<Attachment> {
  const pod = node.pods()[0] ?? node.pod();
  const { result } = await mustCallCni({
    executable: join(peerTools().bin, "bridge"),
    command,
    node,
    netns: pod.path,
    containerId: owner.containerId,
    ifName: owner.ifName,
    config: {
      cniVersion: "1.1.0",
      name: owner.network,
      type: "bridge",
      bridge: "cni0",
      isGateway: true,
      ...(backend === undefined && command === "ADD"
        ? {}
        : { ipMasq: true, macspoofchk: true, ...(backend === undefined ? {} : { ipMasqBackend: backend }) }),
      ipam: { type: "static", addresses: texts.map((address) => ({ address })) },
    },
  });
  const interfaces = (result as BridgeResult | undefined)?.interfaces ?? [];
  const inPod = interfaces.find(({ sandbox }) => sandbox !== undefined);
  const mac = parseMac(inPod?.mac ?? "") ?? new Uint8Array();
  return { hostInterface: interfaces.find(({ name }) => name.startsWith("veth"))?.name ?? "", mac };
}

/** All packet filter rules of the node. The Go plugin's DEL leaves an empty table nat where there was none; ours does not. */
function filterOf({ path }: NodeNetns): object {
  const { nft, iptables } = snapshot(path);
  // nft(8) prints the target of a rule that iptables made only when it can load the extension just then; iptables-save tells it always.
  const printed = JSON.stringify(nft).replaceAll("  counter masquerade", "  counter");
  return { nft: JSON.parse(printed) as object, iptables };
}

async function ours(node: NodeNetns, attachment: Attachment, backend: MasqueradeBackend): Promise<void> {
  using host = Netns.open(node.path);
  const undo = new UndoScope();
  await setupMasquerade(host, { ...owner, backend, addresses }, undo, silentLogger);
  setupSpoofCheck(host, { ...owner, ...attachment }, undo);
}

async function remove(node: NodeNetns): Promise<void> {
  using host = Netns.open(node.path);
  await teardownMasquerade(host, owner, silentLogger);
  teardownSpoofCheck(host, owner);
}

describe.each(["iptables", "nftables"] as const)("rules by %s", (backend) => {
  test("are the ones that the Go plugin makes, and leave no more than it leaves", async () => {
    using theirs = new NodeNetns();
    using mine = new NodeNetns();
    const attachment = await bridge(theirs, "ADD", backend);
    await ours(mine, attachment, backend);
    expect(filterOf(mine)).toEqual(filterOf(theirs));
    await bridge(theirs, "DEL", backend);
    await remove(mine);
    expect(leftovers(filterOf(theirs), filterOf(mine))).toEqual([]);
  });

  test("of the Go plugin pass our CHECK and are removed by us", async () => {
    using node = new NodeNetns();
    using clean = new NodeNetns();
    const attachment = await bridge(node, "ADD", backend);
    using host = Netns.open(node.path);
    await checkMasquerade(host, { ...owner, backend, addresses }, silentLogger);
    checkSpoofCheck(host, { ...owner, ...attachment });
    await gcMasquerade(host, owner.network, [owner], silentLogger);
    await checkMasquerade(host, { ...owner, backend, addresses }, silentLogger);
    await remove(node);
    await bridge(clean, "ADD", backend);
    await bridge(clean, "DEL", backend);
    expect(leftovers(filterOf(clean), filterOf(node))).toEqual([]);
  });

  test("of the Go plugin are collected by us", async () => {
    using node = new NodeNetns();
    await bridge(node, "ADD", backend);
    using host = Netns.open(node.path);
    await gcMasquerade(host, owner.network, [], silentLogger);
    expect(JSON.stringify(filterOf(node))).not.toMatch(/CNI-|masquerade comment/);
  });

  test("of ours are removed by the Go plugin", async () => {
    using node = new NodeNetns();
    using clean = new NodeNetns();
    await ours(node, await bridge(node, "ADD"), backend);
    await bridge(node, "DEL", backend);
    await bridge(clean, "ADD", backend);
    await bridge(clean, "DEL", backend);
    expect(leftovers(filterOf(clean), filterOf(node))).toEqual([]);
  });
});
