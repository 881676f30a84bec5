// The default-route key of the annotation, in the kernel and in everything that is said about it.
import { describe, expect, test } from "vitest";
import { mustCallCni } from "../kit/cni-caller.ts";
import { errorOf, type SitePod, useSite } from "../kit/multus-site.ts";
import { snapshot } from "../kit/snapshot.ts";

const site = useSite();

const both = [{ dst: "0.0.0.0/0" }, { dst: "::/0" }];
const ranges = (number: number) => [[{ subnet: `10.${number}.0.0/24` }], [{ subnet: `fd00:${number}::/64` }]];

/** A pod whose default network and whose "own" network give default routes of both families themselves; "plain" gives none. */
function podWith(networks: unknown): SitePod {
  const here = site();
  here.network("own", here.macvlan("own", "", { ipam: { ranges: ranges(2), routes: both } }));
  here.network("plain", here.macvlan("plain", "", { ipam: { ranges: ranges(3) } }));
  return here.pod(networks);
}

const conf = () => ({ delegates: [site().macvlan("main", "", { ipam: { ranges: ranges(1), routes: both } })] });

interface Way {
  readonly dev?: string;
  readonly gateway?: string;
  readonly nexthops?: readonly Way[];
}

/** "4 eth0 via 10.1.0.1" for each default route of the main tables, sorted; family 6 makes one with several next hops of several. */
function defaultRoutes({ netns }: SitePod): string[] {
  return Object.entries(snapshot(netns.path).routes)
    .flatMap(([name, route]) => {
      const family = /^ipv(\d) main unicast default /.exec(name)?.[1];
      const { nexthops = [route] } = route as Way;
      return family === undefined
        ? []
        : nexthops.map(({ dev, gateway }) => `${family} ${String(dev)} via ${String(gateway)}`);
    })
    .sort();
}

const cases: [name: string, networks: unknown, want: string[]][] = [
  ["nobody asks", "plain", ["4 eth0 via 10.1.0.1", "6 eth0 via fd00:1::1"]],
  [
    "a v4 gateway (BUG 2.4: Multus keeps eth0's route alone)",
    [{ name: "plain", "default-route": ["10.3.0.1"] }],
    ["4 net1 via 10.3.0.1", "6 eth0 via fd00:1::1"],
  ],
  [
    "a v6 gateway (BUG 2.4: Multus never removes ::/0)",
    [{ name: "plain", "default-route": ["fd00:3::1"] }],
    ["4 eth0 via 10.1.0.1", "6 net1 via fd00:3::1"],
  ],
  [
    "gateways of both families",
    [{ name: "plain", "default-route": ["fd00:3::1", "10.3.0.1"] }],
    ["4 net1 via 10.3.0.1", "6 net1 via fd00:3::1"],
  ],
  [
    "gateways of both families on two networks",
    [
      { name: "plain", "default-route": ["10.3.0.1"] },
      { name: "plain", interface: "p2", "default-route": ["fd00:3::9"] },
    ],
    ["4 net1 via 10.3.0.1", "6 p2 via fd00:3::9"],
  ],
  [
    "another gateway on a network that has a default route of its own (BUG 2.4: Multus keeps both)",
    [{ name: "own", "default-route": ["10.2.0.9"] }],
    ["4 net1 via 10.2.0.9", "6 eth0 via fd00:1::1", "6 net1 via fd00:2::1"],
  ],
  [
    "an empty list keeps the network's own routes (BUG 2.4: Multus drops them too)",
    [{ name: "own", "default-route": [] }],
    ["4 net1 via 10.2.0.1", "6 net1 via fd00:2::1"],
  ],
  [
    "an empty list of a network without a default route changes nothing",
    [{ name: "plain", "default-route": [] }],
    ["4 eth0 via 10.1.0.1", "6 eth0 via fd00:1::1"],
  ],
  [
    "a gateway outranks an empty list",
    [
      { name: "own", "default-route": [] },
      { name: "plain", "default-route": ["10.3.0.1"] },
    ],
    ["4 net2 via 10.3.0.1", "6 net1 via fd00:2::1"],
  ],
  [
    "a gateway that is link-local",
    [{ name: "plain", "default-route": ["fe80::1"] }],
    ["4 eth0 via 10.1.0.1", "6 net1 via fe80::1"],
  ],
];

test.each(cases)("default-route: %s", async (_, networks, want) => {
  const here = site();
  const pod = podWith(networks);
  const before = here.kernel(pod);
  const { result } = await mustCallCni(here.cniCall("ADD", pod, { conf: conf() }));
  expect(defaultRoutes(pod)).toEqual(want);
  const told = (here.status(pod) ?? []).flatMap((element) =>
    ((element["gateway"] ?? []) as string[]).map(
      (gateway) => `${gateway.includes(":") ? 6 : 4} ${String(element["interface"])} via ${gateway}`,
    ),
  );
  expect(told.sort()).toEqual(want);
  const { routes = [] } = result as { routes?: { dst: string }[] };
  expect(routes.map(({ dst }) => (dst.includes(":") ? "6 eth0" : "4 eth0")).sort()).toEqual(
    want.map((line) => line.slice(0, line.indexOf(" via"))).filter((line) => line.endsWith("eth0")),
  );
  expect(await here.call("CHECK", pod, { conf: conf() })).toMatchObject({ exitCode: 0 });
  await mustCallCni(here.cniCall("DEL", pod));
  expect(here.remains(before, pod)).toEqual([]);
});

describe("default-route that can't be", () => {
  test.each([
    ["10.99.0.1", "network is unreachable"],
    ["fd00:99::1", "no route to host"],
  ])(
    "a gateway out of reach, %s, fails the ADD and leaves nothing (BUG 2.4: Multus leaves every interface)",
    async (gateway, cause) => {
      const here = site();
      const pod = podWith([{ name: "own" }, { name: "plain", "default-route": [gateway] }]);
      const before = here.kernel(pod);
      const { code, msg, details } = errorOf(await here.call("ADD", pod, { conf: conf() }));
      expect(code).toBe(7);
      expect(msg.toLowerCase()).toContain(
        `network "default/plain" (interface net2): error setting default gateway ${gateway}: `,
      );
      expect(msg.toLowerCase()).toContain(cause);
      expect(details).toContain("must be in a subnet of that interface's addresses or routes");
      expect(here.events(pod)).toEqual([
        expect.stringContaining(`Warning FailedToAttach network "default/plain"`) as unknown,
      ]);
      expect(here.remains(before, pod)).toEqual([]);
    },
  );

  test("two networks that both keep theirs are refused before anything is attached", async () => {
    const here = site();
    const pod = podWith([
      { name: "own", "default-route": [] },
      { name: "plain", "default-route": [] },
    ]);
    const before = here.kernel(pod);
    const { msg } = errorOf(await here.call("ADD", pod, { conf: conf() }));
    expect(msg).toContain("default-route is [] for default/own and default/plain");
    expect(here.remains(before, pod)).toEqual([]);
  });
});
