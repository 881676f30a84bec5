// Many calls at once: of one container, and of two hundred.
import { expect, test } from "vitest";
import { listLinks } from "../../src/rtnl/link.ts";
import { callCni, type CniOutcome, mustCallCni } from "../kit/cni-caller.ts";
import { errorOf, type MultusSite, type SitePod, useSite } from "../kit/multus-site.ts";
import { rtnlIn } from "../kit/rtnl-in.ts";

const site = useSite();
const podCount = 200;
/** Calls at a time: the machine shall be busy, not choked. */
const width = 12;
const manyTimeoutMs = 300_000;

function withNetworks(here: MultusSite): MultusSite {
  for (const index of [1, 2, 3]) here.network(`n${index}`, here.macvlan(`n${index}`, `10.${index + 1}.0.0/22`));
  return here;
}

/** Runs `work` on every item, `width` at a time. */
async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of rest) await work(item);
    }),
  );
}

/** Names of the links in a pod beside its loopback. */
function linksOf({ netns }: SitePod): string[] {
  using rtnl = rtnlIn(netns.path);
  return listLinks(rtnl).flatMap(({ name }) => (name === "lo" ? [] : [name]));
}

/** How long somebody who comes second is given to arrive where he has to wait; one who is later still proves less, and fails nothing. */
const arrivalMs = 300;

/** The line of a plugin's script that holds a call up until `release`. */
const held = (here: MultusSite): string => `while [ ! -e ${here.path("released")} ]; do sleep 0.02; done`;

async function release(here: MultusSite): Promise<void> {
  await Bun.sleep(arrivalMs);
  here.folder.write("released", "");
}

/** Comes back when an ADD of the pod is in the middle. */
async function journaled(here: MultusSite, pod: SitePod): Promise<void> {
  while (here.journal(pod) === undefined) await Bun.sleep(5);
}

test("of two ADDs of one container at once the first attaches, the second is refused, and both leave it whole", async () => {
  const here = withNetworks(site());
  const pod = here.pod("n1,n2");
  const before = here.kernel(pod);
  const outcomes = await Promise.all([here.call("ADD", pod), here.call("ADD", pod)]);
  const [failed] = outcomes.filter(({ exitCode }) => exitCode !== 0) as [CniOutcome];
  expect(failed.exitCode).toBe(1);
  expect(outcomes.filter(({ exitCode }) => exitCode === 0)).toHaveLength(1);
  expect(errorOf(failed).msg).toContain("interface name eth0 already exists");
  expect(here.leases()).toHaveLength(3);
  expect(here.journal(pod)).toHaveLength(3);
  expect(await here.call("CHECK", pod)).toMatchObject({ exitCode: 0 });
  await mustCallCni(here.cniCall("DEL", pod));
  expect(here.remains(before, pod)).toEqual([]);
});

test("an ADD that fails takes nothing of a second ADD along that waits for it", async () => {
  const here = withNetworks(site());
  here.script("slow-no", `[ "$CNI_COMMAND" = ADD ] && { ${held(here)}; exit 1; }`, "exit 0");
  here.network("slow", { cniVersion: "1.0.0", name: "slow", type: "slow-no" });
  const pod = here.pod("n1,slow");
  const before = here.kernel(pod);
  const first = here.call("ADD", pod);
  await journaled(here, pod);
  here.annotate(pod, "n2");
  const second = here.call("ADD", pod);
  await release(here);
  expect(await first).toMatchObject({ exitCode: 1 });
  expect(await second).toMatchObject({ exitCode: 0 });
  expect(here.journal(pod)?.map((entry) => entry["Name"])).toEqual(["default-net", "default/n2"]);
  expect(await here.call("CHECK", pod)).toMatchObject({ exitCode: 0 });
  await mustCallCni(here.cniCall("DEL", pod));
  expect(here.remains(before, pod)).toEqual([]);
});

test("a DEL that comes during the ADD waits for it and takes everything back", async () => {
  const here = withNetworks(site());
  here.script("slow-yes", held(here), `echo '{"cniVersion":"1.0.0"}'`);
  here.network("slow", { cniVersion: "1.0.0", name: "slow", type: "slow-yes" });
  const pod = here.pod("n1,slow,n2");
  const before = here.kernel(pod);
  const adding = here.call("ADD", pod);
  await journaled(here, pod);
  const deleting = here.call("DEL", pod);
  await release(here);
  expect(await deleting).toMatchObject({ exitCode: 0, stdout: "" });
  expect(await adding).toMatchObject({ exitCode: 0 });
  expect(here.remains(before, pod)).toEqual([]);
});

test("an ADD that is killed lets a DEL that waits for it go on", async () => {
  const here = withNetworks(site());
  here.script("hangs", '[ "$CNI_COMMAND" = ADD ] && sleep 60', "exit 0");
  here.network("hangs", { cniVersion: "1.0.0", name: "hangs", type: "hangs" });
  const pod = here.pod("n1,hangs");
  const before = here.kernel(pod);
  let adder = 0;
  const adding = callCni({ ...here.cniCall("ADD", pod), onStart: (pid) => (adder = pid) });
  await journaled(here, pod);
  const deleting = here.call("DEL", pod);
  await Bun.sleep(arrivalMs);
  process.kill(-adder, "SIGKILL");
  expect(await deleting).toMatchObject({ exitCode: 0, stdout: "" });
  expect(await adding).toMatchObject({ signal: "SIGKILL" });
  expect(here.remains(before, pod)).toEqual([]);
});

test(
  `${podCount} pods at once: no address twice, and nothing is left after their DELs`,
  async () => {
    const here = withNetworks(site());
    const pods = Array.from({ length: podCount }, () => here.pod("n1,n2,n3"));
    const before = here.kernel();
    const addresses: string[] = [];
    const take = async (pod: SitePod): Promise<void> => {
      await mustCallCni(here.cniCall("ADD", pod));
      const status = here.status(pod) ?? [];
      expect(status).toHaveLength(4);
      addresses.push(...status.flatMap((element) => element["ips"] as string[]));
    };
    await each(pods, take);
    expect(new Set(addresses).size).toBe(4 * podCount);
    expect(here.leases()).toHaveLength(4 * podCount);
    // A third goes while others come, as on a node that is never quiet.
    const leaving = pods.filter((_, index) => index % 3 === 0);
    const coming = Array.from({ length: leaving.length }, () => here.pod("n1"));
    addresses.length = 0;
    await each(
      [...leaving.map((pod) => ["DEL", pod] as const), ...coming.map((pod) => ["ADD", pod] as const)].sort(
        ([, a], [, b]) => a.uid.localeCompare(b.uid),
      ),
      async ([verb, pod]) => {
        await mustCallCni(here.cniCall(verb, pod));
      },
    );
    await each([...pods, ...coming], async (pod) => {
      await mustCallCni(here.cniCall("DEL", pod));
    });
    expect(here.remains(before)).toEqual([]);
    expect([...pods, ...coming].flatMap(linksOf)).toEqual([]);
  },
  manyTimeoutMs,
);
