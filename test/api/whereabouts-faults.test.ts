// Bad days of the API server at every step of a claim: what passes is not noticed, what does not is an error that a DEL cleans up after. Each
// outcome that was not heard of is found out, whichever way it went.
import { describe, expect, test } from "vitest";
import type { Mischief } from "../kit/api-proxy.ts";
import { eventually } from "../kit/ipam-world.ts";
import { errorOf, type Json, type SitePod } from "../kit/multus-site.ts";
import { callIpam } from "./call-ipam.ts";
import { pass, useProxiedClaims } from "./use-claims.ts";
import { freshRange, type WhereaboutsRange } from "./whereabouts-objects.ts";

const { site, proxy, objects } = useProxiedClaims();

const reservations = "overlappingrangeipreservations";
const steps = {
  ADD: ["get ippools", "create ippools", "patch ippools", `create ${reservations}`],
  DEL: ["patch ippools", `patch ${reservations}`, `delete ${reservations}`],
} as const;
const mischiefs: readonly (readonly [string, Mischief])[] = [
  ["429, try again in a second", { kind: "answer", status: 429, headers: { "retry-after": "1" } }],
  ["500", { kind: "answer", status: 500 }],
  ["503", { kind: "answer", status: 503 }],
  ["a broken connection", { kind: "reset" }],
  ["a broken connection after the server has done it", { kind: "reset-after" }],
];

/** A pod and a network whose claims need every kind of request: reservation, finalizer and entry. */
async function ready(): Promise<{ readonly pod: SitePod; readonly conf: Json; readonly fresh: WhereaboutsRange }> {
  const fresh = freshRange(29);
  const kubernetes = { kubeconfig: site().kubeconfigPath };
  const conf = objects().config("net", fresh.range, { kubernetes, enable_overlapping_ranges: false });
  return { pod: await site().pod(), conf, fresh };
}

async function expectNothing({ net, pool }: WhereaboutsRange): Promise<void> {
  expect(await objects().reservations(net)).toEqual([]);
  // Entries go behind the DEL.
  expect(await eventually(() => objects().allocations(pool), {})).toEqual({});
}

describe("what passes by itself is not noticed", () => {
  const rows = (["ADD", "DEL"] as const).flatMap((verb) =>
    steps[verb].flatMap((step) => mischiefs.map(([name, mischief]) => [verb, name, step, mischief] as const)),
  );

  test.each(rows)("%s: %s, once, at: %s", async (verb, _, step, mischief) => {
    const { pod, conf, fresh } = await ready();
    const once = (at: string, occurrence: number) => (at === step && occurrence === 1 ? mischief : pass);
    proxy().plan(verb === "ADD" ? once : () => pass);
    const added = await callIpam(site(), "ADD", pod, conf);
    expect(added).toMatchObject({ exitCode: 0, result: { ips: [{ address: `${fresh.net}.1/29` }] } });
    if (verb === "ADD") expect(proxy().steps()[step]).toBeGreaterThan(0);
    expect(await objects().reservations(fresh.net)).toEqual([`${fresh.pool}.${fresh.net}.1`]);
    expect(Object.keys(await objects().allocations(fresh.pool))).toEqual(["1"]);
    proxy().plan(verb === "DEL" ? once : () => pass);
    expect(await callIpam(site(), "DEL", pod, conf)).toMatchObject({ exitCode: 0 });
    await expectNothing(fresh);
    const isRepeated = async () => (proxy().steps()[step] ?? 0) > 1;
    if (verb === "DEL") expect(await eventually(isRepeated, true)).toBe(true);
  });
});

describe("the server goes away in the middle", () => {
  const hidden: readonly Mischief[] = [{ kind: "reset" }, { kind: "reset-after" }];
  const rows = steps.ADD.flatMap((step) => hidden.map((mischief) => [step, mischief] as const));

  test.each(rows)(
    "of an ADD, from the step %s on (%o): DEL fails while it is away, and leaves nothing when it is back",
    async (step, mischief) => {
      const { pod, conf, fresh } = await ready();
      let isDown = false;
      proxy().plan((at) => {
        const isFirst = !isDown && at === step;
        isDown ||= isFirst;
        return isFirst ? mischief : isDown ? { kind: "reset" } : pass;
      });
      expect(errorOf(await callIpam(site(), "ADD", pod, conf))).toMatchObject({ code: 11 });
      const away = await callIpam(site(), "DEL", pod, conf);
      expect([0, 1]).toContain(away.exitCode);
      const isLeft = (await objects().reservations(fresh.net)).length > 0;
      // It must not say that all is well over something that is still there.
      if (isLeft) expect(away.exitCode).toBe(1);
      proxy().plan(() => pass);
      expect(await callIpam(site(), "DEL", pod, conf)).toMatchObject({ exitCode: 0 });
      await expectNothing(fresh);
    },
  );

  test("of a DEL: it is an error, and the next one leaves nothing", async () => {
    const { pod, conf, fresh } = await ready();
    proxy().plan(() => pass);
    expect(await callIpam(site(), "ADD", pod, conf)).toMatchObject({ exitCode: 0 });
    proxy().plan(() => ({ kind: "reset" }));
    expect(errorOf(await callIpam(site(), "DEL", pod, conf))).toMatchObject({ code: 11 });
    proxy().plan(() => pass);
    expect(await callIpam(site(), "DEL", pod, conf)).toMatchObject({ exitCode: 0 });
    await expectNothing(fresh);
  });
});

test.each([403, 409, 422])("an answer %i to the creation is one error, and nothing is left", async (status) => {
  const { pod, conf, fresh } = await ready();
  proxy().plan((at) => (at === `create ${reservations}` ? { kind: "answer", status } : pass));
  const { code, msg } = errorOf(await callIpam(site(), "ADD", pod, conf));
  expect([code, msg]).toEqual([
    status === 409 ? 11 : 999,
    expect.stringContaining("error at storage engine: create overlappingrangeipreservation"),
  ]);
  proxy().plan(() => pass);
  expect(await callIpam(site(), "DEL", pod, conf)).toMatchObject({ exitCode: 0 });
  await expectNothing(fresh);
});
