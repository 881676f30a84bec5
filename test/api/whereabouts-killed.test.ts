// Killed at every request to the API server, before and after the server has done what it asks for, in ADD and in DEL: the runtime's DEL leaves
// nothing, whatever the next pod has been given meanwhile.
import { expect, test } from "vitest";
import { type CniOutcome } from "../kit/cni-caller.ts";
import { eventually } from "../kit/ipam-world.ts";
import type { Json, SitePod } from "../kit/multus-site.ts";
import { callIpam } from "./call-ipam.ts";
import { pass, useProxiedClaims } from "./use-claims.ts";
import { aMomentMs, freshRange } from "./whereabouts-objects.ts";

const { site, proxy, objects } = useProxiedClaims();

/** A call that is killed when it makes its request of that number; one that makes fewer comes to its end. */
async function killedAt(
  verb: string,
  pod: SitePod,
  conf: Json,
  number: number,
  kind: "reset" | "reset-after",
): Promise<CniOutcome> {
  let count = 0;
  let processId = 0;
  proxy().plan(() => {
    count += 1;
    // Before the call has begun, it is what an earlier DEL has left that is on its way.
    const onCut = (): void => void (processId > 0 && process.kill(processId, "SIGKILL"));
    return count === number ? { kind, onCut } : pass;
  });
  const outcome = await callIpam(site(), verb, pod, conf, {}, (pid) => {
    processId = pid;
  });
  proxy().plan(() => pass);
  return outcome;
}

test.each([
  ["ADD", "reset", true],
  ["ADD", "reset-after", true],
  ["ADD", "reset-after", false],
  ["DEL", "reset", true],
  ["DEL", "reset-after", true],
  ["DEL", "reset-after", false],
] as const)(
  "killed at any request of %s (%s, overlaps checked: %s), a DEL leaves nothing and takes nobody else's",
  async (verb, kind, isChecked) => {
    const { net, range, pool } = freshRange(28);
    const conf = objects().config("net", range, {
      kubernetes: { kubeconfig: site().kubeconfigPath },
      enable_overlapping_ranges: isChecked,
    });
    const other = await site().pod();
    expect(await callIpam(site(), "ADD", other, conf)).toMatchObject({ exitCode: 0 });
    const nameOfOther = isChecked ? `${net}.1` : `${pool}.${net}.1`;
    let killed = 0;
    for (let number = 1; ; number++) {
      const pod = await site().pod();
      if (verb === "DEL") expect(await callIpam(site(), "ADD", pod, conf)).toMatchObject({ exitCode: 0 });
      // So that the call makes all of its requests.
      await Bun.sleep(aMomentMs);
      const { signal, exitCode } = await killedAt(verb, pod, conf, number, kind);
      const next = await site().pod();
      expect(await callIpam(site(), "ADD", next, conf)).toMatchObject({ exitCode: 0 });
      for (const each of [pod, pod, next])
        expect(await callIpam(site(), "DEL", each, conf)).toMatchObject({ exitCode: 0 });
      expect([number, await objects().reservations(net)]).toEqual([number, [nameOfOther]]);
      const left = isChecked ? [] : ["1"];
      // Entries go behind the DEL.
      const keys = async () => Object.keys(await objects().allocations(pool));
      expect([number, await eventually(keys, left)]).toEqual([number, left]);
      if (signal === undefined) {
        expect(exitCode).toBe(0);
        break;
      }
      killed += 1;
    }
    expect(killed).toBeGreaterThan(1);
    expect(await callIpam(site(), "DEL", other, conf)).toMatchObject({ exitCode: 0 });
  },
);
