import assert from "node:assert/strict";
import { existsSync, mkdirSync, symlinkSync } from "node:fs";
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
import {
  checkSpoofCheck,
  setupSpoofCheck,
  type SpoofCheckSpec,
  teardownSpoofCheck,
} from "../../src/plugins/filter/spoof-check.ts";
import { UndoScope } from "../../src/undo/undo.ts";
import { NodeNetns } from "../kit/node-netns.ts";
import { findExecutable } from "../kit/packages.ts";
import type { GuestCases } from "./uml.ts";

const mac = parseMac("02:00:00:00:00:01") ?? new Uint8Array();
const spec: SpoofCheckSpec = { containerId: "ctr1", ifName: "eth0", hostInterface: "veth0", mac };
const owner = { network: "net1", containerId: "ctr1", ifName: "eth0", addresses: prefixes("10.1.2.2/24") };

function prefixes(...texts: string[]): Prefix[] {
  return texts.flatMap((text) => parsePrefix(text) ?? []);
}

/** A folder in which the legacy binaries have the names that everybody calls. */
function legacyFolder(): string {
  const folder = "/run/iptables-legacy";
  mkdirSync(folder, { recursive: true });
  for (const name of ["iptables", "ip6tables"]) {
    for (const suffix of ["", "-restore"]) {
      const path = `${folder}/${name}${suffix}`;
      if (!existsSync(path)) symlinkSync(findExecutable(`${name}-legacy${suffix}`) ?? "", path);
    }
  }
  return folder;
}

export const cases: GuestCases = {
  "the spoof check is made, checked, replaced and removed": () => {
    using node = new NodeNetns();
    using host = Netns.open(node.path);
    teardownSpoofCheck(host, spec);
    for (const hostInterface of ["veth1", "veth0"]) setupSpoofCheck(host, { ...spec, hostInterface }, new UndoScope());
    checkSpoofCheck(host, spec);
    const rules = node.run("nft", "list", "table", "bridge", "nat");
    assert.match(rules, /iifname "veth0" jump cni-br-iface-ctr1-eth0 comment "macspoofchk-ctr1-eth0"/);
    assert.doesNotMatch(rules, /veth1/);
    teardownSpoofCheck(host, spec);
    assert.doesNotMatch(node.run("nft", "list", "table", "bridge", "nat"), /cni-br|macspoofchk/);
  },
  "a kernel without nf_tables for IP is named as the reason, by whichever back end": async () => {
    using node = new NodeNetns();
    using host = Netns.open(node.path);
    const attempt = (backend: MasqueradeBackend | undefined) =>
      setupMasquerade(host, { ...owner, backend }, new UndoScope(), silentLogger);
    const reason =
      /nft add table ip cni_plugins_masquerade .*: operation not supported; this kernel has no nf_tables of that family$/;
    await assert.rejects(attempt("nftables"), { code: 999, message: reason });
    await assert.rejects(attempt(undefined), { code: 999, message: reason });
    await assert.rejects(attempt(undefined), /failed to set up ipMasq of network net1: iptables-restore ended with /);
    assert.equal(node.run("nft", "list", "tables").trim(), "");
  },
  "x_tables serve as well as nf_tables, when that is what iptables works on": async () => {
    using node = new NodeNetns();
    using host = Netns.open(node.path);
    const path = process.env["PATH"];
    process.env["PATH"] = `${legacyFolder()}:${path ?? ""}`;
    const listed = () =>
      node
        .run("iptables-legacy", "-t", "nat", "-S")
        .split("\n")
        .filter((line) => line.includes("CNI-"));
    const second = { ...owner, ifName: "eth1", addresses: prefixes("10.9.2.3/16") };
    for (const one of [owner, owner, second, second])
      await setupMasquerade(host, { ...one, backend: undefined }, new UndoScope(), silentLogger);
    const chain = "CNI-85373d34c6846b6c53ee2e7f";
    const comment = String.raw`-m comment --comment "name: \"net1\" id: \"ctr1\""`;
    assert.deepEqual(listed(), [
      `-N ${chain}`,
      `-A POSTROUTING -s 10.1.2.2/32 ${comment} -j ${chain}`,
      `-A POSTROUTING -s 10.9.2.3/32 ${comment} -j ${chain}`,
      `-A ${chain} -d 10.1.2.0/24 ${comment} -j ACCEPT`,
      `-A ${chain} -d 10.9.0.0/16 ${comment} -j ACCEPT`,
      `-A ${chain} ! -d 224.0.0.0/4 ${comment} -j MASQUERADE`,
    ]);
    await checkMasquerade(host, { ...owner, backend: undefined }, silentLogger);
    await teardownMasquerade(host, owner, silentLogger);
    await checkMasquerade(host, { ...second, backend: undefined }, silentLogger);
    await gcMasquerade(host, "net1", [second], silentLogger);
    await checkMasquerade(host, { ...second, backend: undefined }, silentLogger);
    await teardownMasquerade(host, { ...second, addresses: [] }, silentLogger);
    assert.deepEqual(listed(), []);
    process.env["PATH"] = path;
  },
  "clean-up succeeds where there is nothing that could hold a rule": async () => {
    using node = new NodeNetns();
    using host = Netns.open(node.path);
    await teardownMasquerade(host, owner, silentLogger);
  },
};
