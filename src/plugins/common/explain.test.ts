import { describe, expect, test } from "vitest";
import { CniError, code } from "../../cni/error.ts";
import { SystemError } from "../../libc/errno.ts";
import { NetlinkError } from "../../netlink/error.ts";
import { errnoOf, explain, explained } from "./explain.ts";

const EEXIST = 17;
const EPERM = 1;
const ENOTTY = 25;

describe("an explained error", () => {
  test.each<[string, unknown, string, string]>([
    [
      "begins with the operation and the errno's text and ends with the cure of the operation",
      new NetlinkError("add link net1", EEXIST),
      "failed to create macvlan: file exists; choose another name",
      "add link net1: file exists",
    ],
    [
      "holds what the kernel said",
      new NetlinkError("add link net1", EEXIST, { kernelText: "Device is taken" }),
      "failed to create macvlan: file exists (kernel: Device is taken); choose another name",
      "add link net1: file exists (kernel: Device is taken)",
    ],
    [
      "falls back to what the errno means everywhere",
      new NetlinkError("add link net1", EPERM),
      "failed to create macvlan: operation not permitted; CAP_NET_ADMIN is missing here: run as root, in a container as privileged",
      "add link net1: operation not permitted",
    ],
    [
      "gives no cure where none is known",
      new NetlinkError("add link net1", ENOTTY),
      "failed to create macvlan: ENOTTY",
      "add link net1: ENOTTY",
    ],
    [
      "can be a system call's",
      new SystemError("EROFS", "open", "/proc/sys/net/ipv6/conf/net1/keep_addr_on_down"),
      "failed to create macvlan: read-only file system; /proc/sys is mounted read-only: in a container run privileged",
      "open /proc/sys/net/ipv6/conf/net1/keep_addr_on_down: read-only file system",
    ],
    ["keeps the message of any other error", new TypeError("oops"), "failed to create macvlan: oops", ""],
  ])("%s", (_, error, message, details) => {
    const found = explain("failed to create macvlan", error, { EEXIST: "choose another name" });
    expect(found).toMatchObject({ name: "CniError", code: 999, message, details });
  });

  test("looks at the machine only for the errno that has come", () => {
    const cures = { EEXIST: () => "net0 has it", EPERM: () => expect.fail("not asked for") };
    const { message } = explain("failed to create vlan", new NetlinkError("add link net1", EEXIST), cures);
    expect(message).toBe("failed to create vlan: file exists; net0 has it");
  });

  test("is the CNI error itself when it was one", () => {
    const error = new CniError(code.tryAgainLater, "busy");
    expect(explain("failed to create macvlan", error)).toBe(error);
  });
});

test("only what the kernel refuses is explained: a fault of ours passes as it is", () => {
  const fault = new TypeError("oops");
  expect(() =>
    explained("failed", () => {
      throw fault;
    }),
  ).toThrow(fault);
  expect(() =>
    explained("failed", () => {
      throw new NetlinkError("get link x", EPERM);
    }),
  ).toThrow("failed: operation not permitted; CAP_NET_ADMIN");
  expect(explained("failed", () => 7)).toBe(7);
});

test("an errno is known of system calls and netlink requests only", () => {
  expect([errnoOf(new SystemError("ENOENT", "open")), errnoOf(new NetlinkError("x", EEXIST)), errnoOf("x")]).toEqual([
    "ENOENT",
    "EEXIST",
    undefined,
  ]);
});
