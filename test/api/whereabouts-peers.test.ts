// The same calls to Go whereabouts and to ours, one after the other on the same pool: the same addresses, gateways, routes and refusals.
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { IpamSide, type Json } from "../kit/ipam-side.ts";
import { IpamWorld } from "../kit/ipam-world.ts";

const folder = useTemporaryFolder();
let world: IpamWorld;
let sides: readonly IpamSide[];

beforeAll(async () => {
  world = await IpamWorld.make(inject("api"));
  sides = [
    await IpamSide.make("go", world, `${folder().path}/go`),
    await IpamSide.make("ours", world, `${folder().path}/ours`),
  ];
});
afterAll(async () => {
  await world.clear();
});

interface Row {
  readonly name: string;
  readonly range: string;
  readonly over?: Json;
  /** How many pods ask, one after the other. */
  readonly pods?: number;
}

/** What a side gives to each pod: the result without what only says which version it is, or that it refuses. */
async function given(side: IpamSide, { range, over, pods = 2 }: Row): Promise<unknown[]> {
  const all: unknown[] = [];
  const sandboxes = Array.from(
    { length: pods },
    (_, index) => `${side.name}-${crypto.randomUUID().slice(0, 8)}-${index}`,
  );
  const call = { range, ...(over === undefined ? {} : { over }) };
  for (const sandbox of sandboxes) {
    const { exitCode, result } = await side.call("ADD", { ...call, sandbox });
    const { ips, routes = [], dns = {} } = (result ?? {}) as { ips?: unknown; routes?: unknown; dns?: unknown };
    all.push(exitCode === 0 ? { ips, routes, dns } : "refused");
  }
  for (const sandbox of sandboxes) {
    const { exitCode } = await side.call("DEL", { ...call, sandbox });
    // What can't be read can't be given back: Go refuses the DEL too, ours has nothing to do.
    if (exitCode !== 0 && side.name === "ours") throw new Error(`DEL of ${sandbox} ended with ${exitCode}`);
  }
  return all;
}

const rows: readonly Row[] = [
  { name: "an IPv4 network", range: "10.201.0.0/24", pods: 3 },
  { name: "host bits", range: "10.201.1.225/28" },
  { name: "leading zeros", range: "010.201.002.000/24", over: { range_start: "010.201.002.010" } },
  { name: "first and last address", range: "10.201.3.5-10.201.3.6/24", pods: 3 },
  { name: "bounds", range: "10.201.4.0/24", over: { range_start: "10.201.4.250", range_end: "10.201.4.251" }, pods: 3 },
  { name: "a bound outside", range: "10.201.5.0/29", over: { range_end: "10.99.0.1" } },
  {
    name: "bounds the wrong way round",
    range: "10.201.6.0/24",
    over: { range_start: "10.201.6.9", range_end: "10.201.6.3" },
  },
  { name: "a start that is no address", range: "10.201.7.0/24", over: { range_start: "soon" } },
  {
    name: "exclusions",
    range: "10.201.8.0/29",
    over: { exclude: ["10.201.8.1/32", "10.201.8.3", "10.201.8.4/31"] },
    pods: 3,
  },
  { name: "an exclusion that is none", range: "10.201.9.0/24", over: { exclude: ["nothing"] }, pods: 1 },
  {
    name: "a network in the middle of which an address ends with .0",
    range: "10.202.0.0/16",
    over: { range_start: "10.202.0.255" },
  },
  { name: "an IPv6 network", range: "fd00:201::/64", pods: 3 },
  { name: "a small IPv6 network", range: "fd00:202::/126", pods: 3 },
  { name: "IPv6 bounds in the middle", range: "fd00:203::/64", over: { range_start: "fd00:203::ffff" } },
  { name: "both families", range: "10.201.10.0/24", over: { ipRanges: [{ range: "fd00:204::/64" }] } },
  {
    name: "ranges of the list only",
    range: "",
    over: { ipRanges: [{ range: "10.201.11.0/24", range_start: "10.201.11.7" }, { range: "10.201.12.0/24" }] },
  },
  {
    name: "a gateway, routes and DNS",
    range: "10.201.13.0/24",
    over: {
      gateway: "10.201.13.254",
      routes: [{ dst: "0.0.0.0/0" }, { dst: "192.0.2.0/24", gw: "10.201.13.9" }],
      dns: { nameservers: ["192.0.2.53"] },
    },
  },
  {
    name: "static addresses besides",
    range: "10.201.14.0/24",
    over: { addresses: [{ address: "192.0.2.7/24", gateway: "192.0.2.1" }] },
  },
  { name: "static addresses alone", range: "", over: { addresses: [{ address: "192.0.2.7/24" }] }, pods: 1 },
  { name: "a network of its own", range: "10.201.15.0/24", over: { network_name: "blue" } },
  { name: "no check for overlaps", range: "10.201.16.0/24", over: { enable_overlapping_ranges: false }, pods: 3 },
  { name: "a full network", range: "10.201.17.0/30", pods: 3 },
  { name: "a network without room", range: "10.201.18.0/31", pods: 1 },
  { name: "no network", range: "nowhere", pods: 1 },
];

describe("the same as Go whereabouts", () => {
  test.each(rows)("$name: $range", async (row) => {
    const [go, ours] = sides as readonly [IpamSide, IpamSide];
    const wanted = await given(go, row);
    await world.untilRecent();
    expect(await given(ours, row)).toEqual(wanted);
  });
});

test("Go passes over what ours has claimed, ours over what Go has, and ours deletes what Go has attached", async () => {
  const [go, ours] = sides as readonly [IpamSide, IpamSide];
  const range = "10.201.20.0/29";
  const held = await ours.call("ADD", { range, sandbox: "ours-held" });
  const next = await go.call("ADD", { range, sandbox: "go-next" });
  expect([held, next].map(({ result }) => result)).toMatchObject([
    { ips: [{ address: "10.201.20.1/29" }] },
    { ips: [{ address: "10.201.20.2/29" }] },
  ]);
  expect(await ours.call("ADD", { range, sandbox: "ours-third" })).toMatchObject({
    result: { ips: [{ address: "10.201.20.3/29" }] },
  });
  // The node was changed over: what Go attached is deleted by us.
  expect(await ours.call("DEL", { range, sandbox: "go-next" })).toMatchObject({ exitCode: 0 });
  expect(await go.call("ADD", { range, sandbox: "go-again" })).toMatchObject({
    result: { ips: [{ address: "10.201.20.2/29" }] },
  });
  for (const sandbox of ["ours-held", "ours-third", "go-again"])
    expect(await ours.call("DEL", { range, sandbox })).toMatchObject({ exitCode: 0 });
  expect(await world.pools.reservationNames()).toEqual([]);
});
