// Many pods at once on one node and one API server.
import { beforeAll, expect, test } from "vitest";
import { inWords } from "../kit/audit-log.ts";
import type { SitePod } from "../kit/multus-site.ts";
import { useApiSite } from "./use-site.ts";

const site = useApiSite();
const podCount = 40;
const atOnce = 8;

beforeAll(async () => {
  for (const name of ["a", "b"])
    await site().network(name, site().local.macvlan(name, name === "a" ? "10.131.0.0/24" : "10.132.0.0/24"));
});

/** Runs `work` on all of them, some at a time. */
async function onAll<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const next = items.entries();
  const runner = async (): Promise<void> => {
    for (const [index, item] of next) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, runner));
  return results;
}

test(`${podCount} pods, ${atOnce} at a time: each has its own addresses, status and events, for the same requests as alone`, async () => {
  const here = site();
  const pods: SitePod[] = [];
  for (let index = 0; index < podCount; index++) pods.push(await here.pod("a,b"));
  const before = here.local.kernel();
  here.audit.take(here.namespace);
  const added = await onAll(pods, (pod) => here.call("ADD", pod));
  expect(added.filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
  const asked = here.audit.take(here.namespace);
  expect(Object.fromEntries([...Map.groupBy(asked, inWords)].map(([what, all]) => [what, all.length]))).toEqual({
    "get pods": podCount,
    "get network-attachment-definitions": 2 * podCount,
    "patch pods/status": podCount,
    "create events": 3 * podCount,
  });
  const statuses = await onAll(pods, (pod) => here.status(pod));
  const addresses = statuses.flatMap((status) => (status ?? []).flatMap(({ ips }) => ips as string[]));
  expect(new Set(addresses).size).toBe(3 * podCount);
  const deleted = await onAll(pods, (pod) => here.call("DEL", pod));
  expect(deleted.filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
  expect(here.audit.take(here.namespace).filter(({ userAgent }) => userAgent.endsWith("(DEL)"))).toEqual([]);
  expect(here.local.remains(before)).toEqual([]);
});
