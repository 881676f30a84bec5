// Kinds of links that this kernel lacks: what is missing is said before anything is made. (Where it has them lane kernel tells the rest.)
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Netns } from "../../src/netns/netns.ts";
import { hasKind } from "../../src/plugins/common/kernel-kind.ts";
import { BuiltinCaller } from "../kit/builtin-caller.ts";
import { useLan } from "../kit/hooks.ts";
import { snapshot } from "../kit/snapshot.ts";

const lan = useLan();
const node = () => lan().node();

let caller: BuiltinCaller;
beforeEach(() => {
  caller = new BuiltinCaller(node());
});
afterEach(() => caller[Symbol.dispose]());

test("a kind that the kernel has is known, and asking leaves nothing", () => {
  using host = Netns.open(node().path);
  const before = snapshot(node().path);
  expect(hasKind(host, { kind: "macvlan" })).toBe(true);
  expect(snapshot(node().path)).toEqual(before);
});

describe.each([
  ["ipvlan", { mode: "l2" }, "modprobe ipvlan"],
  ["vlan", { vlanId: 100 }, "modprobe 8021q"],
] as const)("without %s", (type, own, command) => {
  const config = { type, master: "eth0", ipam: { type: "static", addresses: [{ address: "192.0.2.5/24" }] }, ...own };
  const data = type === "vlan" ? ({ kind: "vlan", id: 1 } as const) : ({ kind: "ipvlan" } as const);
  const isThere = () => {
    using host = Netns.open(node().path);
    return hasKind(host, data);
  };
  const cure = `this kernel has no ${type}: load the module ${command.slice("modprobe ".length)} on the node (${command}), or run a kernel that has it`;

  test("ADD says which module to load, and leaves nothing", async ({ skip }) => {
    if (isThere()) skip(`this kernel has ${type}`);
    using pod = node().pod();
    const before = [snapshot(node().path), snapshot(pod.path)];
    await expect(caller.add({ config, pod })).rejects.toMatchObject({
      code: 999,
      message: `failed to create ${type}: operation not supported (kernel: Unknown device type); ${cure}`,
    });
    expect([snapshot(node().path), snapshot(pod.path)]).toEqual(before);
  });

  test("STATUS says so too, with code 50", async ({ skip }) => {
    if (isThere()) skip(`this kernel has ${type}`);
    await expect(caller.call({ verb: "STATUS", config, pod: "" })).rejects.toMatchObject({ code: 50, message: cure });
  });

  test("DEL is done", async () => {
    using pod = node().pod();
    await caller.call({ verb: "DEL", config, pod });
  });
});
