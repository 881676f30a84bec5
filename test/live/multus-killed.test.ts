// Killed at every system call that changes the world, in the ADD and in the DEL of a pod with four interfaces: DEL leaves nothing.
import { expect, test } from "vitest";
import { mustCallCni } from "../kit/cni-caller.ts";
import { changingCalls, killAtEverySystemCall } from "../kit/fault.ts";
import { type SitePod, useSite } from "../kit/multus-site.ts";
import type { Snapshot } from "../kit/snapshot.ts";

const site = useSite();
const sweepTimeoutMs = 300_000;

interface Round {
  readonly pod: SitePod;
  readonly before: Record<string, Snapshot>;
}

/** A fresh pod with a default network and three of its own: host-local, static, and a chain of two families. */
function prepare(): Round {
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

/** A round that is over: by now all folders that outlive a pod are there, and every later ADD makes the same system calls. */
async function settled(): Promise<Round> {
  const round = prepare();
  await mustCallCni(site().cniCall("ADD", round.pod));
  return round;
}

/** The undisturbed run, with which a sweep begins, leaves its pod attached. */
async function leave({ pod }: Round): Promise<void> {
  await mustCallCni(site().cniCall("DEL", pod));
  pod.netns[Symbol.dispose]();
}

test(
  "an ADD that is killed anywhere is taken back by DEL, and the container can be attached again",
  async () => {
    const here = site();
    let round = await settled();
    const killed = await killAtEverySystemCall(
      async () => {
        await leave(round);
        round = prepare();
        return here.cniCall("ADD", round.pod);
      },
      async ({ systemCall, occurrence }) => {
        const { pod, before } = round;
        const at = `${systemCall} ${occurrence}`;
        await mustCallCni(here.cniCall("DEL", pod));
        expect([at, here.remains(before, pod)]).toEqual([at, []]);
        if (occurrence % 3 !== 1) return;
        await mustCallCni(here.cniCall("ADD", pod));
        expect([at, here.status(pod)?.length]).toEqual([at, 4]);
        await mustCallCni(here.cniCall("DEL", pod));
        expect([at, here.files("cni"), here.files("leases")]).toEqual([at, [], []]);
        expect(here.files("manifests/.state/pods/default"), at).not.toContain(`.${pod.name}.yaml.tmp`);
      },
      changingCalls,
      true,
    );
    expect(killed).toBeGreaterThan(30);
  },
  sweepTimeoutMs,
);

test(
  "a DEL that is killed anywhere is finished by the next",
  async () => {
    const here = site();
    let round = await settled();
    const killed = await killAtEverySystemCall(
      async () => {
        await leave(round);
        round = prepare();
        await mustCallCni(here.cniCall("ADD", round.pod));
        return here.cniCall("DEL", round.pod);
      },
      async ({ systemCall, occurrence }) => {
        const at = `${systemCall} ${occurrence}`;
        await mustCallCni(here.cniCall("DEL", round.pod));
        expect([at, here.remains(round.before, round.pod)]).toEqual([at, []]);
      },
      changingCalls,
      true,
    );
    expect(killed).toBeGreaterThan(15);
  },
  sweepTimeoutMs,
);
