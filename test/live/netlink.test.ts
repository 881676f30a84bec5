import { afterAll, describe, expect, test } from "vitest";
import { readText } from "../../src/libc/file.ts";
import { CLONE_NEWNET, unshare } from "../../src/libc/namespace.ts";
import * as libc from "../../src/libc/socket.ts";
import { NETLINK_NETFILTER, NETLINK_ROUTE, NLM_F_CREATE, NLM_F_EXCL } from "../../src/netlink/constants.ts";
import { AttributeDecoder } from "../../src/netlink/attribute-decoder.ts";
import { isNetlinkError, type NetlinkError } from "../../src/netlink/error.ts";
import { request, type NetlinkRequest } from "../../src/netlink/message.ts";
import { NetlinkSocket } from "../../src/netlink/socket.ts";

// This worker thread gets a network namespace of its own, which ends with it.
unshare(CLONE_NEWNET);
const socket = NetlinkSocket.open(NETLINK_ROUTE, "test");
afterAll(() => socket[Symbol.dispose]());

const ifinfomsgBytes = 16;

function addBridge(name: string): NetlinkRequest {
  return request(`add link ${name}`, 16, NLM_F_CREATE | NLM_F_EXCL, (body) => {
    body.struct(ifinfomsgBytes);
    body.text(3, name);
    body.nested(18, (info) => info.text(1, "bridge"));
  });
}

function getLink(name: string): NetlinkRequest {
  return request(`get link ${name}`, 18, 0, (body) => {
    body.struct(ifinfomsgBytes);
    body.text(3, name);
  });
}

const listLinks = request("list links", 18, 0, (body) => void body.struct(ifinfomsgBytes));

function nameOf(body: Uint8Array): string | undefined {
  const attributes = new AttributeDecoder(body.subarray(ifinfomsgBytes));
  while (attributes.next()) if (attributes.type === 3) return attributes.text();
  return undefined;
}

function failureOf(body: () => unknown): NetlinkError {
  try {
    body();
  } catch (error) {
    if (isNetlinkError(error)) return error;
    throw error;
  }
  throw new Error("it should have failed");
}

describe("a netlink socket", () => {
  test("gets one object in one message", () => {
    expect(nameOf(socket.get(getLink("lo")).body)).toBe("lo");
  });

  test("tells what is missing by the kernel's name for it", () => {
    expect(failureOf(() => socket.get(getLink("nope")))).toMatchObject({
      code: "ENODEV",
      errno: 19,
      message: "get link nope: no such device",
    });
  });

  test("carries the kernel's own sentence and the attribute it points at", () => {
    const bad = request("add link bad", 16, NLM_F_CREATE, (body) => {
      body.struct(ifinfomsgBytes);
      body.bytes(3, new TextEncoder().encode("a-name-that-is-too-long\0"));
    });
    const error = failureOf(() => socket.request(bad));
    expect(error).toMatchObject({ operation: "add link bad", attribute: 3, offset: 32 });
    expect(error.kernelText).toBeTruthy();
    expect(error.message).toContain(`(kernel: ${error.kernelText}; attribute 3)`);
  });

  test("answers a batch in order, works on behind a failure, and returns replies in place", () => {
    const requests = [
      addBridge("br1"),
      addBridge("br1"),
      getLink("br1"),
      addBridge("br2"),
      getLink("nope"),
      getLink("br2"),
    ];
    const outcomes = socket.exchange(requests);
    expect(outcomes.map(({ replies, error }) => error?.code ?? replies.map(({ body }) => nameOf(body)))).toEqual([
      [],
      "EEXIST",
      ["br1"],
      [],
      "ENODEV",
      ["br2"],
    ]);
    expect(socket.requestAll([])).toEqual([]);
  });

  test("a batch larger than one send keeps its order", () => {
    const names = Array.from({ length: 150 }, (_, index) => (index % 50 === 49 ? "lo" : `nope${index}`));
    const found = socket.exchange(names.map(getLink)).map(({ replies }) => replies.length);
    expect(found).toEqual(names.map((name) => (name === "lo" ? 1 : 0)));
  });

  test("dumps all parts", () => {
    const added = Array.from({ length: 40 }, (_, index) => `many${index}`);
    expect(socket.requestAll(added.map(addBridge)).filter((error) => error !== undefined)).toEqual([]);
    const names = socket.dump(listLinks).map(({ body }) => nameOf(body));
    expect(names).toEqual(expect.arrayContaining(["lo", ...added]));
    expect(new Set(names).size).toBe(names.length);
  });

  test("a refused dump is the kernel's error, and the socket works on", () => {
    const refused = request("list links of nothing", 18, 0, (body) => {
      body.struct(ifinfomsgBytes).setUint8(4, 1);
    });
    expect(failureOf(() => socket.dump(refused))).toMatchObject({ code: "EINVAL" });
    expect(nameOf(socket.get(getLink("lo")).body)).toBe("lo");
  });

  test("a protocol that the kernel lacks is named", () => {
    expect(failureOf(() => NetlinkSocket.open(31, "nothing")).message).toBe(
      "open netlink socket of nothing: protocol not supported (socket)",
    );
  });
});

describe("a socket's surroundings", () => {
  /** Port ids of the NETLINK_ROUTE sockets of this namespace: column 3 of /proc/net/netlink, 0 being the kernel's own. */
  function routePorts(): number[] {
    const rows = readText("/proc/thread-self/net/netlink").trim().split("\n").slice(1);
    return rows
      .map((row) => row.trim().split(/\s+/))
      .filter((columns) => columns[1] === "0" && columns[2] !== "0")
      .map((columns) => Number(columns[2]));
  }

  test("nobody but the kernel can send to it", () => {
    const [port, ...others] = routePorts();
    expect(others).toEqual([]);
    using stranger = libc.socket(libc.AF_NETLINK, libc.SOCK_RAW, NETLINK_ROUTE, "stranger");
    const address = new Uint8Array(12);
    const view = new DataView(address.buffer);
    view.setUint16(0, libc.AF_NETLINK, true);
    view.setUint32(4, port ?? 0, true);
    libc.connect(stranger, address);
    expect(() => libc.send(stranger, new Uint8Array(16))).toThrow("send stranger: connection refused");
  });

  test("POLYNIC_NLDEBUG=1 prints every message on standard error, and its absence nothing", () => {
    const script = `
      import { NetlinkSocket } from ${JSON.stringify(import.meta.resolve("../../src/netlink/socket.ts"))};
      const body = new Uint8Array(24);
      body.set([7, 0, 3, 0, 108, 111], 16);
      NetlinkSocket.open(0, "trace").get({ label: "get", type: 18, flags: 0, body });`;
    const run = (value: string): string => {
      const env = { ...process.env, POLYNIC_NLDEBUG: value };
      return Bun.spawnSync([process.execPath, "-e", script], { env, stderr: "pipe" }).stderr.toString();
    };
    expect(run("0")).toBe("");
    expect(run("1")).toMatch(/^sent\n-{16}[^]+\| 6c 6f 00    \| [^]+received\n[^]+\|00007\|--\|00003\|/);
  });
});

describe("an nfnetlink batch", () => {
  const nfnl = (subsystem: number, message: number) => (subsystem << 8) | message;
  const NFNL_SUBSYS_NFTABLES = 10;
  // struct nfgenmsg: u8 family, u8 version, __be16 res_id
  const bracket = (label: string, type: number, subsystem: number) =>
    request(label, type, 0, (body) => body.struct(4).setUint16(2, subsystem));
  const frame = (subsystem: number) => ({ begin: bracket("begin", 16, subsystem), end: bracket("end", 17, subsystem) });
  const ask = (label: string, message: number, flags: number, ...texts: [number, string][]) =>
    request(label, nfnl(NFNL_SUBSYS_NFTABLES, message), flags, (body) => {
      body.struct(4).setUint8(0, 2);
      for (const [type, value] of texts) body.text(type, value);
    });
  const addTable = (name: string) => ask(`add table ${name}`, 0, NLM_F_CREATE, [1, name]);
  const getTable = (name: string) => ask(`get table ${name}`, 1, 0, [1, name]);
  const addChain = ask("add chain x", 3, NLM_F_CREATE, [1, "missing"], [3, "x"]);

  test("is one transaction whose failures come by message", () => {
    using nft = NetlinkSocket.open(NETLINK_NETFILTER, "nft test");
    const batch = [addTable("a"), addChain, addTable("b")];
    const codes = nft.requestAll(batch, frame(NFNL_SUBSYS_NFTABLES)).map((error) => error?.code);
    expect(codes).toEqual([undefined, "ENOENT", undefined]);
    expect(failureOf(() => nft.get(getTable("a"))).code).toBe("ENOENT");
    expect(nft.requestAll([addTable("a")], frame(NFNL_SUBSYS_NFTABLES))).toEqual([undefined]);
    expect(nft.get(getTable("a")).type).toBe(nfnl(NFNL_SUBSYS_NFTABLES, 0));
  });

  test("whose begin is refused is thrown as a whole", () => {
    using nft = NetlinkSocket.open(NETLINK_NETFILTER, "nft test");
    expect(failureOf(() => nft.requestAll([addTable("c")], frame(99))).operation).toBe("begin");
  });
});
