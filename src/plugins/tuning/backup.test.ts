import { assert, property, record, string } from "fast-check";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import * as backups from "./backup.ts";
import { makeDataDir } from "./data-dir.ts";
import { type Change, remember } from "./remember.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "polynic-tuning-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const owner = { network: "lan", containerId: "ctr0", ifName: "net1" };
const whole: backups.Backup & { owner: backups.Owner } = {
  before: { mac: "02:00:00:00:00:01", promisc: false, mtu: 1500, allmulti: false, txQLen: 1000 },
  set: { mac: "02:00:00:00:00:02", promisc: true, mtu: 1400, allmulti: true, txQLen: 0 },
  peerMtu: 1500,
  sysctls: { "net/core/somaxconn": { was: "4096", set: "512" }, "net/ipv4/route/flush": { was: undefined, set: "1" } },
  owner,
};

/** What the Go plugin writes. */
const upstreams = `{
 "mac": "02:00:00:00:00:01",
 "promisc": false,
 "mtu": 1500,
 "allmulti": false,
 "txQLen": 1000
}`;

describe("a backup", () => {
  test("begins as upstream's does, and is read as it was written", () => {
    backups.writeBackup(folder, whole);
    const text = readFileSync(join(folder, "ctr0_net1.json"), "utf8");
    expect(text.startsWith(upstreams.slice(0, -2))).toBe(true);
    expect(statSync(join(folder, "ctr0_net1.json")).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(["ctr0_net1.json"]);
    expect(backups.parseBackup(text)).toEqual(whole);
  });

  test("of upstream's is read", () => {
    const { before } = whole;
    const unknown = { set: undefined, peerMtu: undefined, sysctls: {}, owner: undefined };
    expect(backups.parseBackup(upstreams)).toEqual({ before, ...unknown });
  });

  test.each(["", "[]", "{", "null", '"x"'])("is not %j", (text) => {
    expect(backups.parseBackup(text)).toBeUndefined();
  });

  test("has no member of a wrong type, and no sysctl outside of net", () => {
    const set = { was: "0", set: "1" };
    const sysctl = { "net/a": set, "kernel/b": set, "net/../kernel/c": set, "net/d": { was: "0" }, "net/e": 5 };
    const text = JSON.stringify({
      mac: 5,
      mtu: "x",
      promisc: 1,
      polynic: { set: 5, peerMtu: "y", sysctl, network: 1 },
    });
    const none = { mac: undefined, promisc: undefined, mtu: undefined, allmulti: undefined, txQLen: undefined };
    expect(backups.parseBackup(text)).toEqual({
      before: none,
      set: none,
      peerMtu: undefined,
      sysctls: { "net/a": set },
      owner: undefined,
    });
  });

  test("is never read but as backup or nothing, whatever the file says", () => {
    assert(
      property(string(), (text) => {
        const backup = backups.parseBackup(text);
        expect(backup === undefined || typeof backup === "object").toBe(true);
      }),
    );
    assert(
      property(record({ mac: string(), mtu: string(), polynic: string() }), (value) => {
        expect(backups.parseBackup(JSON.stringify(value))?.owner).toBeUndefined();
      }),
    );
  });

  test("goes with what a kill has left of writing it", () => {
    backups.writeBackup(folder, whole);
    writeFileSync(join(folder, ".ctr0_net1.json.tmp"), "{");
    backups.removeBackup(folder, owner);
    backups.removeBackup(folder, owner);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("is put back as it was, or not at all", () => {
    backups.restoreBackupText(folder, owner, upstreams);
    expect(backups.readBackupText(folder, owner)).toBe(upstreams);
    backups.restoreBackupText(folder, owner, undefined);
    expect(backups.readBackupText(folder, owner)).toBeUndefined();
  });
});

describe("the folder", () => {
  test("is made for root alone, its parents for all", () => {
    makeDataDir(join(folder, "cni", "tuning"));
    expect(statSync(join(folder, "cni", "tuning")).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, "cni")).mode & 0o777).toBe(0o755);
    chmodSync(join(folder, "cni", "tuning"), 0o755);
    makeDataDir(join(folder, "cni", "tuning"));
    expect(statSync(join(folder, "cni", "tuning")).mode & 0o777).toBe(0o755);
  });

  test("lists those that say whose they are, and are named so", () => {
    backups.writeBackup(folder, whole);
    backups.writeBackup(folder, { ...whole, owner: { ...owner, ifName: "net2" } });
    backups.writeBackup(folder, { ...whole, owner: { ...owner, containerId: "ctr0_x" } });
    writeFileSync(join(folder, "ctr1_net1.json"), upstreams);
    writeFileSync(join(folder, "copy_net1.json"), readFileSync(join(folder, "ctr0_net1.json")));
    writeFileSync(join(folder, "notes"), "");
    mkdirSync(join(folder, "x_y.json"));
    expect(backups.listBackups(folder).map((backup) => backups.backupName(backup.owner!))).toEqual([
      "ctr0_net1.json",
      "ctr0_net2.json",
      "ctr0_x_net1.json",
    ]);
    expect(backups.othersOf(folder, owner).map((backup) => backup.owner?.ifName)).toEqual(["net2"]);
    expect(backups.listBackups(join(folder, "nowhere"))).toEqual([]);
  });

  test("loses what was abandoned long ago", () => {
    for (const name of [".a_b.json.tmp", ".c_d.json.tmp", ".other"]) writeFileSync(join(folder, name), "");
    utimesSync(join(folder, ".a_b.json.tmp"), 1, 1);
    utimesSync(join(folder, ".other"), 1, 1);
    backups.removeAbandoned(folder);
    expect(readdirSync(folder).sort()).toEqual([".c_d.json.tmp", ".other"]);
    expect(existsSync(folder)).toBe(true);
  });
});

describe("what was there before", () => {
  const now = whole.before;
  const change: Change = { owner, now, wanted: {}, peerMtu: undefined, sysctls: [], states: [] };
  const sysctl = (path: string, value: string) => ({ key: path, path, value });

  test("is what is there now, of all that is to be set", () => {
    const made = remember(undefined, { ...change, wanted: { mtu: 1400, promisc: true } }, []);
    expect(made).toMatchObject({ before: { mtu: 1500, promisc: false }, set: { mtu: 1400, promisc: true }, owner });
    expect(made.before.mac).toBeUndefined();
  });

  test.each<[string, Partial<backups.Backup>, number, object]>([
    ["stays while the tuned value is there", { before: { mtu: 9000 }, set: { mtu: 1400 } }, 1400, { mtu: 9000 }],
    ["stays in a file of upstream's", { before: { mtu: 9000 }, set: undefined }, 1400, { mtu: 9000 }],
    [
      "is another where that is of another interface",
      { before: { mtu: 9000 }, set: { mtu: 1400 } },
      1500,
      { mtu: 1500 },
    ],
  ])("%s", (_, previous, mtu, before) => {
    const made = remember({ ...whole, ...previous }, { ...change, now: { mtu }, wanted: { mtu: 1300 } }, []);
    expect(made.before.mtu).toEqual((before as { mtu: number }).mtu);
    expect(made.set?.mtu).toBe(1300);
  });

  test("of another setting stays on file, as long as that is tuned", () => {
    const tuned = { ...whole.set };
    expect(remember(whole, { ...change, now: tuned, wanted: { txQLen: 7 } }, [])).toMatchObject({
      before: whole.before,
      set: { ...tuned, txQLen: 7 },
    });
    expect(remember(whole, { ...change, wanted: { txQLen: 7 } }, []).before).toEqual({ txQLen: 1000 });
  });

  test("of the other end of a pair stays while its tuned MTU is there", () => {
    const wanted = { mtu: 1300 };
    expect(remember(whole, { ...change, wanted, peerMtu: 1400 }, []).peerMtu).toBe(1500);
    expect(remember(whole, { ...change, wanted, peerMtu: 1450 }, []).peerMtu).toBe(1450);
    expect(remember(undefined, { ...change, wanted, peerMtu: undefined }, []).peerMtu).toBeUndefined();
  });

  test("of a sysctl is kept like the rest", () => {
    const path = "net/core/somaxconn";
    const states = (value: string) => [{ path, value }];
    const wanted = { ...change, sysctls: [sysctl(path, "256")] };
    expect(remember(undefined, { ...wanted, states: states("4096") }, []).sysctls).toEqual({
      [path]: { was: "4096", set: "256" },
    });
    expect(remember(whole, { ...wanted, states: states("512") }, []).sysctls).toEqual({
      [path]: { was: "4096", set: "256" },
    });
    expect(remember(whole, { ...wanted, states: states("128") }, []).sysctls).toEqual({
      [path]: { was: "128", set: "256" },
    });
    expect(remember(whole, { ...change, states: states("512") }, []).sysctls).toEqual({
      [path]: { was: "4096", set: "512" },
    });
    expect(remember(whole, { ...change, states: states("128") }, []).sysctls).toEqual({});
  });

  test("of a namespace's sysctl is what another interface found first", () => {
    const [path, own] = ["net/core/somaxconn", "net/ipv4/conf/net1/arp_filter"];
    const other = {
      ...whole,
      owner: { ...owner, ifName: "net2" },
      sysctls: { [path]: { was: "4096", set: "512" }, [own]: { was: "9", set: "8" } },
    };
    const sysctls = [sysctl(path, "256"), sysctl(own, "1")];
    const states = [
      { path: path, value: "512" },
      { path: own, value: "0" },
    ];
    expect(remember(undefined, { ...change, sysctls, states }, [other]).sysctls).toEqual({
      [path]: { was: "4096", set: "256" },
      [own]: { was: "0", set: "1" },
    });
  });
});
