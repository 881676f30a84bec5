// Killed at every system call that changes the world, in the ADD and in the DEL of a pod with four interfaces: DEL leaves nothing.
import { expect, test } from "vitest";
import { mustCallCni } from "../kit/cni-caller.ts";
import { killAdds, killDels, type PodRound, type PodSweep } from "../kit/killed-pod.ts";
import { useSite } from "../kit/multus-site.ts";

const site = useSite();
const sweepTimeoutMs = 300_000;

/** A fresh pod with a default network and three of its own: host-local, static, and a chain of two families. */
function prepare(): PodRound {
  const here = site();
  here.network("one", here.macvlan("one", "10.2.0.0/24"));
  here.network("two", {
    cniVersion: "1.0.0",
    plugins: [
      here.macvlan("", "10.3.0.0/24", { ipam: { ranges: [[{ subnet: "10.3.0.0/24" }], [{ subnet: "fd00:3::/64" }]] } }),
    ],
  });
  here.network("three", {
    cniVersion: "1.0.0",
    type: "macvlan",
    master: "eth0",
    ipam: { type: "static", addresses: [{ address: "192.0.2.7/24" }] },
  });
  const pod = here.pod([{ name: "one" }, { name: "two", "default-route": ["10.3.0.1"] }, { name: "three" }]);
  return { pod, before: here.kernel(pod) };
}

const sweep: PodSweep = { prepare, call: (command, pod) => site().cniCall(command, pod) };

test(
  "an ADD that is killed anywhere is taken back by DEL, and the container can be attached again",
  async () => {
    const here = site();
    const killed = await killAdds(sweep, async (at, { pod, before }, occurrence) => {
      await mustCallCni(here.cniCall("DEL", pod));
      expect([at, here.remains(before, pod)]).toEqual([at, []]);
      if (occurrence % 3 !== 1) return;
      await mustCallCni(here.cniCall("ADD", pod));
      expect([at, here.status(pod)?.length]).toEqual([at, 4]);
      await mustCallCni(here.cniCall("DEL", pod));
      expect([at, here.files("cni"), here.files("leases")]).toEqual([at, [], []]);
      expect(here.files("manifests/.state/pods/default"), at).not.toContain(`.${pod.name}.yaml.tmp`);
    });
    expect(killed).toBeGreaterThan(30);
  },
  sweepTimeoutMs,
);

test(
  "a DEL that is killed anywhere is finished by the next",
  async () => {
    const here = site();
    const killed = await killDels(sweep, async (at, { pod, before }) => {
      await mustCallCni(here.cniCall("DEL", pod));
      expect([at, here.remains(before, pod)]).toEqual([at, []]);
    });
    expect(killed).toBeGreaterThan(15);
  },
  sweepTimeoutMs,
);
