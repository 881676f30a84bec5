import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseArgs } from "../cni/args.ts";
import { delegateIpam } from "../cni/ipam-delegate.ts";
import { parseNetConf } from "../cni/net-conf.ts";
import type { AttachmentCall } from "../cni/plugin.ts";
import { ResultCache } from "../cni/result-cache.ts";
import { emptyResult } from "../cni/result.ts";
import { invocation, testRuntime } from "../cni/call.test-data.ts";
import { invoke } from "../cni/invoke.ts";
import { NetnsRef } from "../netns/ref.ts";
import { parseMultusConf } from "./config.ts";
import { cachedEntries, rescueEntries } from "./rescue.ts";
import { openSession } from "./session.ts";

let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "polynic-rescue-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const podArgs = "K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_UID=u";
const network = (name: string) => ({
  apiVersion: "k8s.cni.cncf.io/v1",
  kind: "NetworkAttachmentDefinition",
  metadata: { name },
  spec: { config: '{"cniVersion":"1.0.0","type":"x"}' },
});

function writeCluster(uid: string, networks: string): void {
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web", uid, annotations: { "k8s.v1.cni.cncf.io/networks": networks } },
  };
  const items = [pod, network("a"), network("b")];
  writeFileSync(join(folder, "all.json"), JSON.stringify({ kind: "List", apiVersion: "v1", items }));
}

function remember(networkName: string, ifName: string, containerId = "c1"): void {
  const config = JSON.stringify({ cniVersion: "1.0.0", name: networkName, plugins: [{ type: "x" }] });
  const attachment = {
    networkName,
    containerId,
    ifName,
    netnsPath: "/n",
    args: "A=b",
    capabilityArgs: { mac: "m" },
    config,
    result: emptyResult,
  };
  new ResultCache(folder).write(attachment, "1.0.0");
}

/** What is rescued: "remembered net1 a", "supposed eth0 main"; and the lines that were logged. */
async function rescue(keys: object = {}, args = podArgs): Promise<{ found: string[]; log: string[] }> {
  using runtime = testRuntime([]);
  const config = {
    cniVersion: "1.0.0",
    name: "multi",
    type: "multus",
    cniDir: folder,
    manifests: folder,
    logFile: "",
    logToStderr: false,
    delegates: [{ cniVersion: "1.0.0", name: "main", type: "x" }],
    ...keys,
  };
  const { conf } = parseNetConf(config, "DEL");
  const call: AttachmentCall = {
    conf,
    host: runtime.host,
    ipam: await delegateIpam(runtime, invocation("multus"), conf, invoke),
    log: runtime.log,
    runtime,
    path: [],
    containerId: "c1",
    ifName: "eth0",
    args: parseArgs(args),
    netns: new NetnsRef("/nowhere"),
  };
  const session = { ...openSession(call, parseMultusConf(conf)), log: runtime.log };
  const { remembered, supposed } = await rescueEntries(session, call);
  return {
    found: [
      ...supposed.map(({ ifName, name }) => `supposed ${ifName} ${name}`),
      ...remembered.map(({ ifName, name }) => `remembered ${ifName} ${name}`),
    ],
    log: runtime.entries.map(({ message }) => message),
  };
}

test("without anything else: what would be attached today", async () => {
  writeCluster("u", "a,b@x0");
  expect(await rescue()).toEqual({
    found: ["supposed eth0 main", "supposed net1 default/a", "supposed x0 default/b"],
    log: [],
  });
});

test("what is remembered counts more than what would be attached", async () => {
  writeCluster("u", "a,b");
  remember("old-a", "net1");
  remember("main", "eth0");
  expect((await rescue()).found).toEqual(["supposed net2 default/b", "remembered eth0 main", "remembered net1 old-a"]);
});

test("a pod of another uid says nothing, the node's networks remain", async () => {
  writeCluster("another", "a");
  expect((await rescue()).found).toEqual(["supposed eth0 main"]);
});

test.each([
  ["an annotation that does not parse", "u", "a,"],
  ["a network that is gone", "u", "a,c"],
])("%s: the node's networks remain, and the log says why", async (_, uid, networks) => {
  writeCluster(uid, networks);
  const { found, log } = await rescue();
  expect(found).toEqual(["supposed eth0 main"]);
  expect(log).toEqual([expect.stringMatching(/^the pod's networks are not known any more: /)]);
});

test("a store that can't be read and a node without usable networks: nothing, and no failure", async () => {
  const { found, log } = await rescue({
    manifests: join(folder, "gone"),
    delegates: [{ type: "multus", name: "x", cniVersion: "1.0.0" }],
  });
  expect(found).toEqual([]);
  expect(log).toEqual([
    expect.stringMatching(/^the pod's networks/),
    expect.stringMatching(/^the node's networks are not known: /),
  ]);
});

test("a call for no pod has the node's networks", async () => {
  writeCluster("u", "a");
  expect((await rescue({}, "")).found).toEqual(["supposed eth0 main"]);
});

test("cached results are one container's, whatever their names look like, and torn ones are told", () => {
  using runtime = testRuntime([]);
  remember("a", "net1");
  remember("a-c1", "net1", "other");
  remember("a", "net1", "c1-c1");
  writeFileSync(join(folder, "results", "torn-c1-net2"), "{");
  const entries = cachedEntries(folder, runtime.log, "c1");
  expect(entries).toMatchObject([
    { containerId: "c1", entry: { name: "a", ifName: "net1", netns: "/n", args: "A=b", capabilityArgs: { mac: "m" } } },
  ]);
  expect(runtime.entries.map(({ message }) => message)).toEqual([expect.stringContaining("results/torn-c1-net2")]);
  expect(cachedEntries(folder, runtime.log)).toHaveLength(3);
});
