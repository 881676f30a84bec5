import * as fc from "fast-check";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { noArgs, parseArgs } from "../cni/args.ts";
import { parseNetwork } from "../cni/network-list.ts";
import type { JsonObject } from "../json/value.ts";
import { SystemError } from "../libc/errno.ts";
import { journaledContainers, type JournalState, readJournal, removeJournal, writeJournal } from "./journal.ts";
import { journalOfMultus } from "./journal.test-data.ts";
import type { Attachment } from "./attachment.ts";
import { makePlan } from "./plan.ts";
import { parseSelection } from "./selection.ts";

let cniDir = "";
const owner = { containerId: "c1", netns: "/run/netns/x", network: "multi" };

beforeEach(() => {
  cniDir = mkdtempSync(join(tmpdir(), "polynic-journal-"));
});
afterEach(() => rmSync(cniDir, { recursive: true }));

function attachments(
  elements: string,
  config: object = { type: "macvlan", capabilities: { ips: true } },
): readonly Attachment[] {
  const list = parseNetwork(JSON.stringify({ cniVersion: "1.0.0", name: "net", ...config }));
  const sources = parseSelection(elements, "default").map((element) => ({
    name: `${element.namespace}/${element.name}`,
    origin: "a test",
    list,
    element,
  }));
  const args = parseArgs("K8S_POD_NAMESPACE=default;K8S_POD_NAME=web");
  return makePlan({ ifName: "eth0", args, runtimeConfig: { portMappings: [] }, missingCapability: "ignore", sources })
    .attachments;
}

function write(...written: readonly Attachment[]): JsonObject[] {
  void writeJournal(cniDir, owner, written);
  return JSON.parse(readFileSync(join(cniDir, "c1"), "utf8")) as JsonObject[];
}

function entriesOf(state: JournalState) {
  if (state.kind !== "present") throw new Error(`the journal is ${state.kind}`);
  return state.entries;
}

describe("what is written", () => {
  test("reads back as it was, with the runtime's network", () => {
    const written = attachments(
      '[{"name":"a","ips":["10.0.0.1/24"],"mac":"02:00:00:00:00:01"},{"name":"b","interface":"x0","portMappings":[{"hostPort":1,"containerPort":2}]}]',
    );
    write(...written);
    const state = readJournal(cniDir, "c1", "other");
    expect(state).toMatchObject({ kind: "present", network: "multi" });
    expect(entriesOf(state)).toEqual(
      written.map(({ name, ifName, isDefault, list, capabilityArgs, args }) => ({
        name,
        ifName,
        isDefault,
        list,
        capabilityArgs,
        args,
        netns: "/run/netns/x",
      })),
    );
  });

  test("has the members that Multus reads, in their spelling", () => {
    const [entry] = write(
      ...attachments(
        '[{"name":"a","interface":"x0","ips":["10.0.0.1"],"mac":"02:00:00:00:00:01","infiniband-guid":"00:11:22:33:44:55:66:77","default-route":["10.0.0.9","fd00::9"],"deviceID":"d"}]',
      ),
    );
    const { Bytes, polynic, ...rest } = entry!;
    expect(rest).toEqual({
      Conf: { cniVersion: "1.0.0", name: "net", ipam: {}, dns: {} },
      ConfList: {
        cniVersion: "1.0.0",
        name: "net",
        plugins: [{ type: "macvlan", capabilities: { ips: true }, ipam: {}, dns: {} }],
      },
      CNINetworkConfigList: {
        Name: "",
        CNIVersion: "",
        DisableCheck: false,
        DisableGC: false,
        LoadOnlyInlinedPlugins: false,
        Plugins: null,
        Bytes: null,
      },
      Name: "default/a",
      ifnameRequest: "x0",
      macRequest: "02:00:00:00:00:01",
      infinibandGUIDRequest: "00:11:22:33:44:55:66:77",
      ipRequest: ["10.0.0.1"],
      "default-route": ["10.0.0.9", "fd00::9"],
      IsFilterV4Gateway: false,
      IsFilterV6Gateway: false,
      deviceID: "d",
    });
    expect(JSON.parse(atob(Bytes as string))).toMatchObject({
      name: "net",
      plugins: [{ type: "macvlan", capabilities: { ips: true } }],
    });
    expect(polynic).toMatchObject({ ifName: "x0", netns: "/run/netns/x", network: "multi" });
  });

  test("keeps every byte of a config (BUG 4.3: Multus keeps a part of a list)", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (own) => {
        const plugins = [
          { type: "x", own },
          { type: "y", ipam: { type: "z", own } },
        ];
        const [attachment] = attachments("a", { plugins });
        write(attachment!);
        const [entry] = entriesOf(readJournal(cniDir, "c1", "eth0"));
        expect(entry?.list.plugins.map(({ config }) => JSON.stringify(config))).toEqual(
          plugins.map((each) => JSON.stringify(each)),
        );
      }),
    );
  });

  test("is for the owner's eyes, replaces what was there, and leaves no other file", () => {
    write(...attachments("a,b"));
    write(...attachments("a"));
    expect(readdirSync(cniDir)).toEqual(["c1"]);
    expect(statSync(join(cniDir, "c1")).mode & 0o777).toBe(0o600);
    writeFileSync(join(cniDir, ".c1.tmp"), "half");
    removeJournal(cniDir, "c1");
    expect(readdirSync(cniDir)).toEqual([]);
    removeJournal(cniDir, "c1");
  });

  const notWritten: unknown = expect.objectContaining({
    code: 5,
    details: expect.stringContaining("nothing is attached") as unknown,
  });

  test("that can't be written is code 5, and says that nothing is attached", () => {
    expect(() => writeJournal(join(cniDir, "missing"), owner, attachments("a"))).toThrow(notWritten);
  });

  test("is there to be read while it is still on its way to the disk", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let descriptor = 0;
    const stored = writeJournal(cniDir, owner, attachments("a"), ({ number }) => ((descriptor = number), promise));
    expect(readJournal(cniDir, "c1", "eth0").kind).toBe("present");
    expect(await Promise.race([stored, Promise.resolve("on its way")])).toBe("on its way");
    expect(readlinkSync(`/proc/self/fd/${descriptor}`)).toBe(join(cniDir, "c1"));
    resolve();
    expect(await stored).toBeUndefined();
  });

  test("that the disk does not take is the same error", async () => {
    const sync = () => Promise.reject(new SystemError("EIO", "fdatasync", "c1"));
    await expect(writeJournal(cniDir, owner, attachments("a"), sync)).rejects.toEqual(notWritten);
  });
});

describe("what Multus has written", () => {
  const args = parseArgs("IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_UID=u");

  test("is read with the interface names that Multus gave", () => {
    writeFileSync(join(cniDir, "c1"), journalOfMultus);
    const state = readJournal(cniDir, "c1", "eth7", args);
    expect(state).toMatchObject({ network: "" });
    expect(entriesOf(state).map(({ name, ifName, isDefault, netns }) => [name, ifName, isDefault, netns])).toEqual([
      ["cluster", "eth7", true, ""],
      ["default/named", "x0", false, ""],
      ["default/listed", "net2", false, ""],
    ]);
  });

  test("is read with its whole configs, also where Multus' own copy is a part (BUG 4.3)", () => {
    writeFileSync(join(cniDir, "c1"), journalOfMultus);
    const [cluster, named, listed] = entriesOf(readJournal(cniDir, "c1", "eth0", args));
    const hostLocal = (subnet: string) => ({ type: "host-local", ranges: [[{ subnet }]] });
    expect(cluster?.list).toMatchObject({
      name: "cluster",
      cniVersion: "1.0.0",
      plugins: [
        { config: { type: "macvlan", master: "eth0", ipam: hostLocal("10.1.0.0/24") } },
        { config: { type: "tuning" } },
      ],
    });
    expect(named?.list).toMatchObject({
      name: "named",
      plugins: [{ config: { args: { cni: { a: 1 } }, ipam: { type: "static" } } }],
    });
    expect(listed?.list).toMatchObject({
      name: "listed",
      cniVersion: "0.1.0",
      plugins: [{ config: { ipam: hostLocal("10.2.0.0/24") } }],
    });
  });

  test("is deleted with what the pod asked and who the pod is, of which Multus keeps the first only", () => {
    writeFileSync(join(cniDir, "c1"), journalOfMultus);
    const [cluster, named] = entriesOf(readJournal(cniDir, "c1", "eth0", args));
    expect(cluster?.capabilityArgs).toEqual({});
    expect(named?.capabilityArgs).toEqual({ ips: ["192.0.2.7/24"], mac: "02:00:00:00:00:07" });
    expect(named?.args).toBe(
      "IgnoreUnknown=true;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=;K8S_POD_UID=u",
    );
    expect(entriesOf(readJournal(cniDir, "c1", "eth0", noArgs))[1]?.args).toBe("");
  });
});

describe("a journal that can't be used", () => {
  test("is absent when there is none", () => {
    expect(readJournal(cniDir, "c1", "eth0")).toEqual({ kind: "absent" });
    expect(readJournal(join(cniDir, "missing"), "c1", "eth0")).toEqual({ kind: "absent" });
  });

  test.each([
    ["nothing (BUG 4.3: Multus says success and does nothing)", ""],
    ["[] (BUG 4.3: Multus panics)", "[]"],
    ["null (BUG 4.3: Multus panics)", "null"],
    ["an object", "{}"],
    ["a number in the list", "[1]"],
    ["no config", '[{"Name":"x"}]'],
    ["a config that is no base64", '[{"Name":"x","Bytes":"%"}]'],
    ["a config that is no JSON", '[{"Name":"x","Bytes":"eA=="}]'],
  ])("is torn when it holds %s", (_, text) => {
    writeFileSync(join(cniDir, "c1"), text);
    expect(readJournal(cniDir, "c1", "eth0")).toMatchObject({ kind: "torn", reason: expect.any(String) as unknown });
  });

  test("is torn, and never anything worse, wherever it is cut (BUG 4.3: Multus says success and does nothing)", () => {
    write(...attachments("a,b"));
    const text = readFileSync(join(cniDir, "c1"), "utf8");
    for (let length = 0; length < text.length; length += 7) {
      writeFileSync(join(cniDir, "c1"), text.slice(0, length));
      expect(readJournal(cniDir, "c1", "eth0").kind).toBe("torn");
    }
  });
});

test("containers are found by their journals; folders, temporary and hidden files are none", () => {
  write(...attachments("a"));
  for (const name of ["b2", ".c1.tmp", ".hidden"]) writeFileSync(join(cniDir, name), "");
  mkdtempSync(join(cniDir, "results-"));
  expect(journaledContainers(cniDir)).toEqual(["b2", "c1"]);
  expect(journaledContainers(join(cniDir, "missing"))).toEqual([]);
});
