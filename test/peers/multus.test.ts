// Go Multus and ours in turn on one node: what either attaches the other checks and deletes, and both report the same.
import { describe, expect, test } from "vitest";
import { mustCallCni } from "../kit/cni-caller.ts";
import { type Json, type MultusSite, type SiteCall, type SitePod, useSite } from "../kit/multus-site.ts";
import { normalise } from "../kit/normalise.ts";
import { peerTools } from "../kit/peer-tools.ts";

const site = useSite();

type Side = "peer" | "ours";

/** How a side is called: the Go one runs the Go plugins, ours its own. */
function callOf(side: Side, conf: Json): SiteCall {
  const own = { ...conf, manifests: undefined };
  return side === "ours" ? { conf: own } : { bin: peerTools().bin, conf: { ...own, binDir: peerTools().bin } };
}

/** The configs of a node without Kubernetes, by what is special about them. */
function configs(here: MultusSite): Record<string, Json> {
  const versionless = (config: Json): Json => ({ ...config, cniVersion: undefined });
  const [one, two, three] = [
    here.macvlan("one", "10.1.0.0/24"),
    here.macvlan("two", "10.2.0.0/24"),
    here.macvlan("three", "fd00:3::/64"),
  ];
  const list = (name: string, plugins: readonly Json[], more: Json = { cniVersion: "1.0.0" }): Json => ({
    name,
    ...more,
    plugins,
  });
  return {
    "a single config": { delegates: [one] },
    "a single config of 0.4.0": { cniVersion: "0.4.0", delegates: [{ ...one, cniVersion: "0.4.0" }] },
    "a single config of 0.3.1": { cniVersion: "0.3.1", delegates: [{ ...one, cniVersion: "0.3.1" }] },
    "a single config without cniVersion": { cniVersion: undefined, delegates: [versionless(one)] },
    "a list": { cniVersion: "1.0.0", delegates: [list("listed", [one])] },
    "a list without cniVersion (BUG 3, I 755: Multus deletes with a part of it)": {
      cniVersion: undefined,
      delegates: [list("listed", [one], {})],
    },
    "a list with a second plugin": {
      cniVersion: "1.0.0",
      delegates: [list("listed", [one, { type: "tuning", mtu: 1400 }])],
    },
    "a config with static addresses and routes": {
      delegates: [
        {
          ...one,
          ipam: {
            type: "static",
            addresses: [{ address: "192.0.2.7/24", gateway: "192.0.2.1" }, { address: "2001:db8::7/64" }],
            routes: [{ dst: "198.51.100.0/24", gw: "192.0.2.1" }, { dst: "0.0.0.0/0" }],
          },
        },
      ],
    },
    "a config without addresses": { delegates: [{ ...one, ipam: {} }] },
    "three networks": { delegates: [one, list("listed", [two]), three] },
    "three networks of three versions": { delegates: [one, { ...two, cniVersion: "0.3.1" }, versionless(three)] },
    "capabilities from the runtime": {
      capabilities: { mac: true },
      runtimeConfig: { mac: "02:00:00:00:00:55" },
      delegates: [{ ...one, capabilities: { mac: true } }],
    },
  };
}

const args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web";
const versionsWithoutCheck: readonly unknown[] = [undefined, "0.3.1"];
const named = Object.keys(configs({ macvlan: () => ({}) } as unknown as MultusSite));

/** The result as both are expected to give it: our macvlan also tells the MTU, as 1.1.0 has it. */
function comparable(result: unknown, pod: SitePod): unknown {
  const text = JSON.stringify(result).replaceAll(/"mtu":\d+,?/g, "");
  return normalise(JSON.parse(text), { names: { [pod.netns.path]: "/pod" } });
}

describe.each(named)("%s", (name) => {
  test("gives the same result on both sides, and the same links and addresses", async () => {
    const here = site();
    const conf = configs(here)[name]!;
    const outcomes = [];
    for (const side of ["peer", "ours"] as const) {
      const pod = here.pod();
      const { result } = await mustCallCni(here.cniCall("ADD", pod, { ...callOf(side, conf), args }));
      const { links, addresses, routes } = here.kernel(pod)[pod.name]!;
      // The kernel adds to the local table when it has looked for duplicates, on the Go side some time later.
      const main = Object.entries(routes).filter(([, { table }]) => table !== "local");
      outcomes.push(comparable({ result, links: Object.keys(links), addresses: Object.keys(addresses), main }, pod));
      await mustCallCni(here.cniCall("DEL", pod, { ...callOf(side, conf), args }));
      here.clear();
    }
    expect(outcomes[1]).toEqual(outcomes[0]);
  });

  test.each([
    ["peer", "ours"],
    ["ours", "peer"],
  ] as const)("attached by %s is checked and deleted by %s, and nothing is left", async (adder, deleter) => {
    const here = site();
    const conf = configs(here)[name]!;
    const pod = here.pod();
    const before = here.kernel(pod);
    await mustCallCni(here.cniCall("ADD", pod, { ...callOf(adder, conf), args }));
    if (!versionsWithoutCheck.includes(conf["cniVersion"]))
      expect(await here.call("CHECK", pod, { ...callOf("ours", conf), args })).toMatchObject({
        exitCode: 0,
        stdout: "",
      });
    expect(await here.call("DEL", pod, { ...callOf(deleter, conf), args })).toMatchObject({ exitCode: 0, stdout: "" });
    expect(here.remains(before, pod)).toEqual([]);
    expect(await here.call("DEL", pod, { ...callOf(deleter, conf), args })).toMatchObject({ exitCode: 0 });
  });
});

test("the result comes in the version of the dispatcher's own config (Multus hands on the default network's)", async () => {
  const here = site();
  const conf = { cniVersion: "1.0.0", delegates: [{ ...here.macvlan("one", "10.1.0.0/24"), cniVersion: "0.4.0" }] };
  const versions = [];
  for (const side of ["peer", "ours"] as const) {
    const pod = here.pod();
    const { result } = await mustCallCni(here.cniCall("ADD", pod, { ...callOf(side, conf), args }));
    versions.push((result as { cniVersion: string }).cniVersion);
    await mustCallCni(here.cniCall("DEL", pod, { ...callOf(side, conf), args }));
  }
  expect(versions).toEqual(["0.4.0", "1.0.0"]);
});
