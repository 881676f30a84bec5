// Mode passthru: the master is one pod's alone.
import { afterEach, expect, test } from "vitest";
import { CniError } from "../../src/cni/error.ts";
import type { JsonObject } from "../../src/json/value.ts";
import { Netns } from "../../src/netns/netns.ts";
import type { BuiltinCaller } from "../kit/builtin-caller.ts";
import { eachInFreshPod } from "../kit/fresh-pod.ts";
import { useLan } from "../kit/hooks.ts";
import type { PinnedNetns } from "../kit/node-netns.ts";
import { snapshot } from "../kit/snapshot.ts";

/** The kernel takes the links of a namespace away some time after its end. */
const teardownTimeoutMs = 30_000;

const lan = useLan();
const node = () => lan().node();

let caller: BuiltinCaller;
let pod: PinnedNetns;
eachInFreshPod(node, (fresh) => ({ caller, pod } = fresh));
// Not left to the kernel, which comes to it when it pleases. (The hooks of later lines run first.)
afterEach(() => {
  for (const name of ["net1", "net9"]) pod.run("sh", "-c", `ip link del ${name} 2>/dev/null || true`);
});

const macvlan = (own: JsonObject = {}) => ({ type: "macvlan", master: "eth0", ...own });
const passthru = macvlan({ mode: "passthru" });

/** The message of an ADD that is refused and leaves nothing. */
async function refusal(config: ReturnType<typeof macvlan>): Promise<string> {
  const before = [snapshot(pod.path), snapshot(node().path)];
  const error: unknown = await caller.add({ config, pod }).catch((reason: unknown) => reason);
  expect([snapshot(pod.path), snapshot(node().path)]).toEqual(before);
  if (error instanceof CniError) return error.message;
  throw new Error(`expected a CNI error, got ${String(error)}`);
}

test("a MAC that passthru can't have is logged, and the result tells the real one", async () => {
  const result = await caller.add({ config: { ...passthru, mac: "02:00:00:00:00:05" }, pod });
  const mac = snapshot(node().path).links["eth0"]?.["address"];
  expect([result.interfaces[0]?.mac, snapshot(pod.path).links["net1"]?.["address"]]).toEqual([mac, mac]);
  expect(caller.log).toMatchObject([
    {
      level: "error",
      message: `net1 has MAC ${String(mac)}, not the one asked for: in mode passthru it is the master's`,
    },
  ]);
});

test("passthru and others want the same master", async () => {
  await caller.add({ config: passthru, pod, ifName: "net9" });
  expect(await refusal(macvlan())).toBe(
    "failed to create macvlan: invalid argument; a macvlan in mode passthru has eth0 for itself",
  );
  await caller.call({ verb: "DEL", config: macvlan(), pod, ifName: "net9" });
  await caller.add({ config: macvlan(), pod, ifName: "net9" });
  expect(await refusal(passthru)).toBe(
    "failed to create macvlan: invalid argument; eth0 carries other macvlans, and passthru wants it for itself",
  );
});

test("so does one that can't be seen any more, until its namespace is gone", async () => {
  const left = node().pod();
  await caller.add({ config: macvlan(), pod: left });
  {
    using _kept = Netns.open(left.path);
    left[Symbol.dispose]();
    expect(await refusal(passthru)).toContain("eth0 carries other macvlans");
  }
  const add = () => caller.add({ config: passthru, pod });
  await expect.poll(add, { timeout: teardownTimeoutMs }).toMatchObject({ interfaces: [{ name: "net1" }] });
});
