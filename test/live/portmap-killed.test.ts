// The portmap executable, killed at each system call by which it changes the world (a DEL afterwards leaves nothing), and with each of them failing.
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CniCall, callCni, mustCallCni } from "../kit/cni-caller.ts";
import { callWithFault, changingCalls, countSystemCalls, killAtEverySystemCall } from "../kit/fault.ts";
import { addresses, both, type Mapping, PortSite, type SitePod } from "../kit/port-site.ts";
import { restoresEnded } from "../kit/restores.ts";
import { ask } from "../kit/traffic.ts";

const { node4, client4 } = addresses;
const sweepTimeoutMs = 300_000;
const backends = ["iptables", "nftables"] as const;
/** How often the runtime wakes its threads by write(2) while a child runs is chance; the result is written last. */
const steadyCalls = changingCalls.filter((name) => name !== "write");
const mappings: readonly Mapping[] = [...both(8080, 80), ...both(8081, 81)];

let site: PortSite;
let a: SitePod;

beforeAll(async () => {
  site = new PortSite();
  a = await site.pod("a", 80, 81);
});
afterAll(() => site[Symbol.dispose]());

/** Rules and chains that belong to somebody, and connections to the mapped ports. */
function left(): string[] {
  const rules = site.node.run(
    "sh",
    "-c",
    "nft list ruleset 2>/dev/null | grep -E 'CNI-DN-|dnat|comment \"a\"' || true",
  );
  const flows = site.node.run("sh", "-c", "grep -E 'dport=808[01]' /proc/net/nf_conntrack | grep udp || true");
  return [...rules.split("\n"), ...flows.split("\n")].map((line) => line.trim()).filter((line) => line !== "");
}

function talk(): void {
  for (const port of [8080, 8081]) {
    expect(ask(site.client, { protocol: "udp", address: node4, port })).toBe(`a ${client4}`);
  }
}

describe.each(backends)("by %s", (backend) => {
  const own = { backend };
  const add = () => site.portmap(a, "ADD", mappings, own);

  test(
    "killed anywhere in ADD, a DEL that knows nothing but the names leaves nothing",
    async () => {
      await mustCallCni(add());
      await site.unmap(a);
      const killed = await killAtEverySystemCall(
        async (isSomethingLeft) => {
          if (isSomethingLeft) await site.unmap(a);
          return add();
        },
        async ({ systemCall, occurrence }) => {
          await restoresEnded(site.node);
          await site.unmap(a);
          expect(left(), `${systemCall} ${occurrence}`).toEqual([]);
        },
        steadyCalls,
      );
      expect(killed).toBeGreaterThan(3);
      await site.unmap(a);
      expect(await callWithFault(add(), { systemCall: "write", occurrence: 1 })).toMatchObject({ signal: "SIGKILL" });
      await restoresEnded(site.node);
      await site.unmap(a);
      expect(left()).toEqual([]);
    },
    sweepTimeoutMs,
  );

  test.each<[string, () => CniCall]>([
    ["that knows the mappings", () => site.portmap(a, "DEL", mappings, own)],
    ["that knows nothing but the names", () => site.portmap(a, "DEL", undefined, { prevResult: undefined })],
  ])(
    "killed anywhere in a DEL %s, the next one leaves nothing, old connections included",
    async (_, del) => {
      const killed = await killAtEverySystemCall(
        async () => {
          await mustCallCni(add());
          talk();
          expect(left().length).toBeGreaterThan(4);
          return del();
        },
        async ({ systemCall, occurrence }) => {
          await mustCallCni(del());
          expect(left(), `${systemCall} ${occurrence}`).toEqual([]);
        },
        steadyCalls,
      );
      expect(killed).toBeGreaterThan(3);
    },
    sweepTimeoutMs,
  );

  test(
    "whichever system call of ADD fails, ADD either does without it or says so and leaves nothing",
    async () => {
      const counts = await countSystemCalls(add(), [...changingCalls, "setns"]);
      await site.unmap(a);
      let failed = 0;
      for (const [systemCall, count] of counts) {
        for (let occurrence = 1; occurrence <= count; occurrence += 1) {
          const outcome = await callWithFault(add(), { systemCall, occurrence, errno: "EIO" });
          const place = `${systemCall} ${occurrence} of ${count}: ${outcome.stdout}${outcome.stderr}`;
          expect(outcome.signal, place).toBeUndefined();
          if (outcome.exitCode === 0) await site.unmap(a);
          else {
            failed += 1;
            expect(outcome.stdout + outcome.stderr, place).not.toBe("");
          }
          await restoresEnded(site.node);
          expect(left(), place).toEqual([]);
        }
      }
      expect(failed).toBeGreaterThan(3);
    },
    sweepTimeoutMs,
  );

  test("GC leaves nothing of a pod that went without DEL", async () => {
    await mustCallCni(add());
    talk();
    const call = site.portmap(a, "GC", undefined, { "cni.dev/valid-attachments": [], prevResult: undefined });
    expect(await callCni({ ...call, executable: join(site.bin, "portmap") })).toMatchObject({
      exitCode: 0,
      stdout: "",
    });
    expect(left()).toEqual([]);
  });
});
