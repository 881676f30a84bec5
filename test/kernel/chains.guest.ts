import assert from "node:assert/strict";
import { mkdirSync, readdirSync } from "node:fs";
import type { JsonObject } from "../../src/json/value.ts";
import type { PinnedNetns } from "../kit/node-netns.ts";
import { snapshot } from "../kit/snapshot.ts";
import { fixed, GuestSite, link, reaches } from "./site.ts";
import type { GuestCases } from "./uml.ts";

const dataDir = "/run/polynic-chains";
const hosts: Readonly<Record<string, JsonObject & { readonly type: string }>> = {
  ipvlan: { type: "ipvlan", master: "eth0" },
  vlan: { type: "vlan", master: "eth0", vlanId: 100 },
};
const own = fixed(["21.0.111.1/21 via 21.0.111.254", "2001:db8::5/64 via 2001:db8::1"]);

function routes(pod: PinnedNetns, table: number | string): string[] {
  return pod
    .run("sh", "-c", `ip -4 route show table ${table} 2>/dev/null; ip -6 route show table ${table} 2>/dev/null; true`)
    .split("\n")
    .map((line) => line.replaceAll(/\s+/g, " ").trim())
    .filter((line) => line !== "" && !line.startsWith("fe80::") && !line.startsWith("multicast"));
}

function eachHost(run: (site: GuestSite, first: JsonObject & { readonly type: string }) => Promise<void>) {
  return async () => {
    for (const first of Object.values(hosts)) {
      using site = new GuestSite(2);
      await run(site, first);
    }
  };
}

export const cases: GuestCases = {
  "sbr: the tables of the users' example, found by CHECK of the whole chain, gone after DEL": eachHost(
    async (site, first) => {
      const pod = await site.pod();
      const before = snapshot(pod.path, { withFilters: false });
      const call = { plugins: [{ ...first, ...own }, { type: "sbr" }], pod };
      const result = await site.caller().addChain(call);
      assert.deepEqual(routes(pod, 100), [
        "default via 21.0.111.254 dev net1",
        "21.0.104.0/21 dev net1 proto kernel scope link src 21.0.111.1",
      ]);
      assert.deepEqual(routes(pod, 101), [
        "2001:db8::/64 dev net1 proto kernel metric 256 pref medium",
        "default via 2001:db8::1 dev net1 metric 1024 pref medium",
      ]);
      assert.deepEqual(routes(pod, "main"), []);
      await site.caller().checkChain({ ...call, prevResult: result });
      await site.caller().delChain({ ...call, prevResult: result });
      assert.deepEqual(snapshot(pod.path, { withFilters: false }), before);
    },
  ),
  "sbr: answers leave by the interface that was asked, past the pod's default route": async () => {
    using site = new GuestSite(2);
    const far = site.node(1);
    far.ip("addr add 21.0.111.254/21 dev eth0", "addr add 203.0.113.1/32 dev eth0");
    far.ip("route replace 21.0.104.0/21 dev eth0 src 203.0.113.1");
    const pod = await site.pod();
    pod.ip("link add eth0 type dummy", "addr add 10.244.1.2/24 dev eth0", "link set eth0 up");
    pod.ip("route add default via 10.244.1.1");
    await site.caller().addChain({ plugins: [{ ...hosts["ipvlan"]!, ...own }, { type: "sbr" }], pod });
    reaches(far, "21.0.111.1");
  },
  "tuning: sysctls and MTU, found by CHECK of the whole chain, put back and taken with the link": eachHost(
    async (site, first) => {
      mkdirSync(dataDir, { recursive: true });
      const pod = await site.pod();
      const before = snapshot(pod.path, { withFilters: false });
      const sysctl = { "net.ipv4.conf.IFNAME.arp_filter": "1", "net.ipv4.conf.all.arp_ignore": "1" };
      const tuning = { type: "tuning", dataDir, mtu: 1400, promisc: true, sysctl };
      const call = { plugins: [{ ...first, mtu: 1500, ...own }, tuning, { type: "sbr" }], pod };
      const result = await site.caller().addChain(call);
      assert.partialDeepStrictEqual(link(pod), { mtu: 1400 });
      await site.caller().checkChain({ ...call, prevResult: result });
      await site.caller().delChain(call);
      assert.deepEqual(snapshot(pod.path, { withFilters: false }), before);
      assert.deepEqual(readdirSync(dataDir), []);
    },
  ),
  "sysctls of the interface are there before it is up": eachHost(async (site, first) => {
    const sysctl = { "net.ipv6.conf.IFNAME.addr_gen_mode": "1", "net.ipv6.conf.IFNAME.accept_ra": "0" };
    const pod = await site.pod();
    const config = { ...first, ipam: {}, sysctl };
    const prevResult = await site.add(pod, config);
    assert.equal(pod.run("ip", "-6", "addr", "show", "dev", "net1"), "");
    await site.call("CHECK", pod, config, { prevResult });
    pod.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/net1/accept_ra");
    await assert.rejects(site.call("CHECK", pod, config, { prevResult }), /net1\/accept_ra is 0, current value is 1/);
  }),
};
