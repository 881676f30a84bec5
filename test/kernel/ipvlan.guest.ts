import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { emptyResult, type Result } from "../../src/cni/result.ts";
import { parsePrefix } from "../../src/ip/prefix.ts";
import type { JsonObject } from "../../src/json/value.ts";
import { ScriptedIpam } from "../kit/scripted-ipam.ts";
import { dual, fixed, GuestSite, link, reaches, reachesNone } from "./site.ts";
import type { GuestCases } from "./uml.ts";

const ipvlan = (own: JsonObject = {}) => ({ type: "ipvlan", master: "eth0", ipam: {}, ...own });

const traffic: GuestCases = {
  "l2: pods of one node and of another reach each other and the LAN, in both families": async () => {
    using site = new GuestSite(3);
    const near = await site.pod(ipvlan(dual(5)));
    const beside = await site.pod(ipvlan(dual(6)));
    const far = await site.pod(ipvlan(dual(7)), 1);
    site.node(2).ip("addr add 192.0.2.9/24 dev eth0", "addr add 2001:db8::9/64 dev eth0 nodad");
    for (const host of [6, 7, 9]) reaches(near, `192.0.2.${host}`, `2001:db8::${host}`);
    reaches(far, "192.0.2.6", "2001:db8::6");
    reaches(site.node(2), "192.0.2.5", "2001:db8::5");
    assert.deepEqual([beside.exists(), site.caller().log, site.caller(1).log], [true, [], []]);
  },
  "l3 and l3s: pods have their own subnet, and the LAN routes to it over the node": async () => {
    for (const mode of ["l3", "l3s"]) {
      using site = new GuestSite(2);
      site.node().ip("addr add 192.0.2.1/24 dev eth0", "addr add 2001:db8::1/64 dev eth0 nodad");
      site
        .node(1)
        .ip(
          "addr add 192.0.2.2/24 dev eth0",
          "addr add 2001:db8::2/64 dev eth0 nodad",
          "route add 198.51.100.0/24 via 192.0.2.1",
          "route add 2001:db8:1::/64 via 2001:db8::1",
        );
      const own = (host: number) =>
        fixed([`198.51.100.${host}/24`, `2001:db8:1::${host}/64`], { routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }] });
      const pod = await site.pod(ipvlan({ mode, ...own(5) }));
      const beside = await site.pod(ipvlan({ mode, ...own(6) }));
      assert.partialDeepStrictEqual(link(pod), { linkinfo: { kind: "ipvlan", data: { mode } } });
      reaches(pod, "198.51.100.6", "2001:db8:1::6", "192.0.2.2", "2001:db8::2");
      reaches(site.node(1), "198.51.100.6", "2001:db8:1::6");
      assert.ok(beside.exists());
    }
  },
  "the flag says whether pods of one master reach each other": async () => {
    for (const [flag, isThrough] of Object.entries({ bridge: true, private: false, vepa: false })) {
      using site = new GuestSite(2);
      const pod = await site.pod(ipvlan({ flag, ...dual(5) }));
      const beside = await site.pod(ipvlan({ flag, ...dual(6) }));
      site.node(1).ip("addr add 192.0.2.9/24 dev eth0", "addr add 2001:db8::9/64 dev eth0 nodad");
      reaches(pod, "192.0.2.9", "2001:db8::9");
      // vepa leaves it to the switch, and this one does not send frames back where they came from.
      if (isThrough) reaches(pod, "192.0.2.6", "2001:db8::6");
      else reachesNone(beside, "192.0.2.5", "2001:db8::5");
    }
  },
  "neighbours learn at once that an address has moved to another node": async () => {
    using site = new GuestSite(3);
    site
      .node(2)
      .ip(
        "addr add 192.0.2.9/24 dev eth0",
        "addr add 2001:db8::9/64 dev eth0 nodad",
        "neigh replace 192.0.2.7 lladdr 02:00:00:00:00:99 dev eth0 nud stale",
        "neigh replace 2001:db8::7 lladdr 02:00:00:00:00:99 dev eth0 nud stale",
      );
    const { interfaces } = await site.add(await site.pod(), ipvlan(dual(7)));
    const known = (ip: string) => /lladdr (\S+)/.exec(site.node(2).run("ip", "neigh", "show", ip))?.[1];
    const deadline = performance.now() + 60_000;
    const isKnown = () => known("192.0.2.7") === interfaces[0]?.mac && known("2001:db8::7") === interfaces[0]?.mac;
    while (!isKnown() && performance.now() < deadline) await Bun.sleep(50);
    assert.deepEqual([known("192.0.2.7"), known("2001:db8::7")], [interfaces[0]?.mac, interfaces[0]?.mac]);
  },
  "a VLAN of the master carries macvlans while the master carries ipvlans": async () => {
    using site = new GuestSite(2);
    const pod = await site.pod(ipvlan(dual(5)));
    for (const node of site.lan.nodes) {
      node.ip("link add link eth0 name eth0.100 type vlan id 100", "link set eth0.100 up");
    }
    const near = await site.pod({ type: "macvlan", master: "eth0.100", ...dual(6) });
    await site.pod({ type: "macvlan", master: "eth0.100", ...dual(7) }, 1);
    reaches(near, "192.0.2.7", "2001:db8::7");
    reachesNone(pod, "192.0.2.6");
  },
};

/** A veth pair in the pod, one end of which is the master. */
const inPod: JsonObject = { linkInContainer: true, master: "up0" };
const podLinks = ["link add up0 type veth peer name up1", "link set up0 up", "link set up1 up"];

const making: GuestCases = {
  "ADD, CHECK and DEL, with the master on the node or in the pod, in each mode": async () => {
    for (const place of [{}, inPod]) {
      for (const mode of ["l2", "l3", "l3s"]) {
        using site = new GuestSite();
        const pod = await site.pod();
        if (place === inPod) pod.ip(...podLinks);
        const before = site.state(pod);
        const config = ipvlan({
          ...place,
          mode,
          mtu: 1400,
          ...fixed(["192.0.2.5/24 via 192.0.2.1", "2001:db8::5/64 via 2001:db8::1"], {
            routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }, { dst: "198.51.100.0/24", priority: 7, mtu: 1300 }],
            dns: { nameservers: ["192.0.2.53"] },
          }),
        });
        // On the node there is a link of that name too, and this kernel looks for it there.
        const ifName = "eth0";
        const result = await site.add(pod, config, ifName);
        const made = link(pod, ifName);
        const master = place === inPod ? link(pod, "up0") : link(site.node(), "eth0");
        assert.partialDeepStrictEqual(made, {
          mtu: 1400,
          address: master?.["address"],
          linkinfo: { kind: "ipvlan", data: { mode } },
        });
        assert.deepEqual(result.interfaces, [{ name: ifName, mac: master?.["address"], mtu: 1400, sandbox: pod.path }]);
        assert.deepEqual(result.dns, { nameservers: ["192.0.2.53"] });
        assert.doesNotMatch(pod.run("ip", "addr", "show", "dev", ifName, "scope", "global"), /tentative/);
        assert.match(pod.run("ip", "route"), /^198\.51\.100\.0\/24 via 192\.0\.2\.1 dev eth0 metric 7 mtu 1300/m);
        await site.call("CHECK", pod, config, { prevResult: result, ifName });
        await site.call("DEL", pod, config, { prevResult: result, ifName });
        await site.call("DEL", pod, config, { prevResult: result, ifName });
        assert.deepEqual(site.state(pod), before);
      }
    }
  },
  "without a master it is the device of the default route, on the node or in the pod": async () => {
    for (const place of [{}, inPod]) {
      using site = new GuestSite();
      const pod = await site.pod();
      if (place === inPod) pod.ip(...podLinks);
      const [home, device] = place === inPod ? [pod, "up0"] : [site.node(), "eth0"];
      const config = ipvlan({ ...place, master: "" });
      await site.refuses(pod, config, "no default route interface found ");
      home.ip(`addr add 198.51.100.1/24 dev ${device}`, "route add default via 198.51.100.254");
      const prevResult = await site.add(pod, config);
      home.ip("route del default");
      await site.call("CHECK", pod, config, { prevResult });
    }
  },
  "in a chain the master and the addresses are those of the previous result": async () => {
    for (const sandbox of ["", "pod"]) {
      using site = new GuestSite();
      const pod = await site.pod();
      if (sandbox === "pod") pod.ip(...podLinks);
      const prevResult: Result = {
        ...emptyResult,
        interfaces: [sandbox === "pod" ? { name: "up0", sandbox: pod.path } : { name: "eth0" }],
        ips: [{ address: parsePrefix("192.0.2.5/24")!, interface: 0 }, { address: parsePrefix("2001:db8::5/64")! }],
        routes: [{ dst: parsePrefix("198.51.100.0/24")! }],
        dns: { nameservers: ["192.0.2.53"] },
      };
      const config = { type: "ipvlan", linkInContainer: sandbox === "pod" };
      const result = await site.caller().add({ config, pod, prevResult });
      assert.deepEqual(
        result.interfaces.map(({ name, sandbox }) => [name, sandbox]),
        [["net1", pod.path]],
      );
      assert.deepEqual(
        result.ips.map((ip) => ip.interface),
        [0, 0],
      );
      assert.match(pod.run("ip", "-o", "addr", "show", "dev", "net1"), /192\.0\.2\.5\/24[^]*2001:db8::5\/64/);
      await site.call("CHECK", pod, config, { prevResult: result });
      await site.call("DEL", pod, config, { prevResult: result });
      assert.equal(link(pod), undefined);
    }
  },
  "an ipvlan of the pod as master makes a sibling": async () => {
    using site = new GuestSite(2);
    const pod = await site.pod(ipvlan(dual(5)));
    await site.pod(ipvlan(dual(9)), 1);
    const config = ipvlan({ linkInContainer: true, master: "net1", ...fixed(["192.0.2.6/24"]) });
    const prevResult = await site.add(pod, config, "net2");
    await site.call("CHECK", pod, config, { prevResult, ifName: "net2" });
    reaches(pod, "192.0.2.9");
  },
  "link-local addresses of pods with one MAC differ": async () => {
    using site = new GuestSite();
    const pods = [await site.pod(ipvlan(dual(5))), await site.pod(ipvlan(dual(6)))];
    const local = pods.map((pod) => /inet6 (fe80::\S+)/.exec(pod.run("ip", "-6", "-o", "addr", "show", "net1"))?.[1]);
    assert.equal(new Set([undefined, ...local]).size, 3);
  },
  "with enabledad an address that another node has is found": async () => {
    using site = new GuestSite(2);
    site.node(1).ip("addr add 2001:db8::66/64 dev eth0 nodad");
    const config = (address: string) => ipvlan({ enabledad: true, ...fixed([address]) });
    const words = "link net1 has address 2001:db8::66/64 in DADFAILED state: another node on this network has it";
    await site.refuses(await site.pod(), config("2001:db8::66/64"), words);
    await site.pod(config("2001:db8::67/64"));
  },
  "a MAC that was asked for is told to be impossible": async () => {
    using site = new GuestSite();
    const config = ipvlan({ runtimeConfig: { mac: "02:00:00:00:00:05" } });
    await site.pod(config);
    assert.match(site.caller().log[0]?.message ?? "", /^net1 has the MAC of eth0, .* not 02:00:00:00:00:05$/);
  },
};

const refusing: GuestCases = {
  "all ipvlans of a master have one mode and flag: another is refused by name, and allowed when the last is gone":
    async () => {
      using site = new GuestSite();
      const [first, second] = [await site.pod(ipvlan()), await site.pod()];
      const holder = `interface net1 of ${first.path}`;
      await site.refuses(
        second,
        ipvlan({ mode: "l3" }),
        `failed to create ipvlan: eth0 carries ipvlans of mode l2 bridge (${holder}), and one of mode l3 bridge would change them all; use the same`,
        7,
      );
      const words = `failed to create ipvlan: eth0 carries ipvlans of mode l2 bridge (${holder}), and one of mode l2 vepa`;
      await site.refuses(second, ipvlan({ flag: "vepa" }), words, 7);
      await site.add(second, ipvlan());
      await site.call("DEL", first, ipvlan());
      await site.call("DEL", second, ipvlan());
      await site.add(second, ipvlan({ mode: "l3", flag: "private" }));
      await site.refuses(first, ipvlan(), /eth0 carries ipvlans of mode l3 private \(interface net1 of /, 7);
    },
  "the same in a pod, and of a master that is an ipvlan itself": async () => {
    using site = new GuestSite();
    const pod = await site.pod();
    pod.ip(...podLinks);
    await site.add(pod, ipvlan(inPod), "net2");
    await site.refuses(pod, ipvlan({ ...inPod, mode: "l3" }), /of mode l2 bridge \(interface net2 of this pod\)/, 7);
    const nested = ipvlan({ linkInContainer: true, master: "net2", mode: "l3s" });
    await site.refuses(pod, nested, /of mode l2 bridge \(the master itself\)/, 7);
  },
  "a mode that somebody else has set meanwhile is found by CHECK": async () => {
    using site = new GuestSite();
    const pod = await site.pod();
    const prevResult = await site.add(pod, ipvlan());
    site.node().ip("link add link eth0 name other type ipvlan mode l3");
    await assert.rejects(
      site.call("CHECK", pod, ipvlan(), { prevResult }),
      /^CniError: Container IPVlan mode l3 does not match expected value: l2; all ipvlans of a master share it/,
    );
  },
  "a master that carries macvlans is refused with the pods that hold it, by name where the runtime's cache has it":
    async () => {
      using site = new GuestSite();
      const macvlan = { type: "macvlan", master: "eth0" };
      const [first, second] = [await site.pod(macvlan), await site.pod()];
      const busy = "failed to create ipvlan: device or resource busy; eth0 carries macvlans (interface net1 of";
      const cure = "), and one device can't carry macvlans and ipvlans; use another master";
      await site.refuses(second, ipvlan(), `${busy} ${first.path}${cure}`);
      mkdirSync("/var/lib/cni/results", { recursive: true });
      const cached = {
        kind: "cniCacheV1",
        containerId: "abc",
        ifName: "eth0",
        networkName: "pods",
        netns: first.path.replace("/run/", "/run/../run/"),
        cniArgs: [
          ["K8S_POD_NAMESPACE", "default"],
          ["K8S_POD_NAME", "web"],
        ],
        result: { cniVersion: "1.0.0" },
      };
      writeFileSync("/var/lib/cni/results/pods-abc-eth0", JSON.stringify(cached));
      await site.refuses(second, ipvlan(), `${busy} pod default/web (${first.path})${cure}`);
      await site.call("DEL", first, macvlan);
      await site.add(second, ipvlan());
      await site.refuses(
        first,
        macvlan,
        `failed to create macvlan: device or resource busy; eth0 carries ipvlans (interface net1 of ${second.path}), and`,
      );
    },
  "a master that is a bridge's port names the bridge": async () => {
    using site = new GuestSite();
    site.node().ip("link add br0 type bridge", "link set eth0 master br0");
    const words = "failed to create ipvlan: device or resource busy; eth0 is a port of br0; name br0 as the master";
    await site.refuses(await site.pod(), ipvlan(), words);
  },
  "an address that another ipvlan of the master has is refused with the pod that has it": async () => {
    using site = new GuestSite();
    const first = await site.pod(ipvlan(dual(5)));
    const words = (ip: string) =>
      `${ip}; no two ipvlans of one master can have the same address: free it there, or keep it from the IPAM plugin`;
    for (const ip of ["192.0.2.5", "2001:db8::5"]) {
      const prefix = ip.includes(":") ? `${ip}/64` : `${ip}/24`;
      const told = `failed to add IP addr ${prefix} to "net1": address already in use (kernel: Address already assigned to an ipvlan device); interface net1 of ${first.path}, on eth0 too, has ${words(ip)}`;
      await site.refuses(await site.pod(), ipvlan(fixed([prefix])), told);
    }
  },
  "masters, names, MTUs and previous results that can't be": async () => {
    using site = new GuestSite();
    const pod = await site.pod();
    const rows: readonly (readonly [JsonObject, string, number?])[] = [
      [
        { master: "lo" },
        "failed to create ipvlan: invalid argument; lo is no Ethernet device, which the master of an ipvlan has to be",
      ],
      [
        { master: "eth1" },
        'failed to lookup master "eth1": Link not found: master "eth1" does not exist on the node; did you mean eth0? (it has eth0)',
        7,
      ],
      [
        { master: "up0", linkInContainer: true },
        `failed to lookup master "up0": Link not found: master "up0" does not exist in pod ${pod.path} (it has`,
        7,
      ],
      [{ mtu: 9000 }, "invalid MTU 9000, must be [0, master MTU(1500)]; lower it to 1500", 7],
      [{ mtu: -1 }, "invalid MTU -1, must be [0, master MTU(1500)]; 0 or no mtu leaves it to the kernel", 7],
      [fixed(["192.0.2.5/24"], { routes: [{ dst: "198.51.100.0/24", gw: "203.0.113.1" }] }), "failed to add route"],
      [fixed([]), "IPAM plugin returned missing IP config"],
    ];
    for (const [own, words, code] of rows) await site.refuses(pod, ipvlan(own), words, code);
    pod.ip("link add net1 type dummy");
    await site.refuses(
      pod,
      ipvlan(),
      `failed to create ipvlan: file exists; pod ${pod.path} has an interface net1 already, of another network`,
    );
  },
};

const ending: GuestCases = {
  "DEL needs no master, no config and no namespace, takes the link and gives the address back": async () => {
    const ipam = new ScriptedIpam();
    using site = new GuestSite(1, [ipam.plugin]);
    const config = ipvlan({ ipam: { type: "scripted" } });
    for (const own of [
      { master: "" },
      { master: "nowhere" },
      { master: "", linkInContainer: true },
      { mode: "zzz", mtu: "many" },
      { prevResult: { cniVersion: "1.1.0", interfaces: "what" } },
    ]) {
      const pod = await site.pod(config);
      await site.call("DEL", pod, { ...config, ...own });
      assert.equal(link(pod), undefined);
    }
    const pod = await site.pod(config);
    pod[Symbol.dispose]();
    await site.call("DEL", pod, config);
    await site.call("DEL", "", config);
    assert.equal(ipam.asked.filter((verb) => verb === "DEL").length, 7);
  },
  "CHECK finds another kind, MTU, master, address, and a link that is gone": async () => {
    using site = new GuestSite();
    site.node().ip("link add eth1 type dummy");
    const config = ipvlan({ mtu: 1400, ...dual(5) });
    const rows: readonly (readonly [string[], JsonObject, RegExp])[] = [
      [["link set net1 mtu 1300"], {}, /^CniError: container ipvlan MTU 1300 does not match expected value: 1400/],
      [[], { master: "eth1" }, /^CniError: container ipvlan net1 is not on master eth1/],
      [[], { master: "eth2" }, /^CniError: failed to lookup master "eth2": Link not found/],
      [[], { flag: "vepa" }, /^CniError: Container IPVlan flag bridge does not match expected value: vepa/],
      [["addr del 192.0.2.5/24 dev net1"], {}, /Failed to match addr 192\.0\.2\.5\/24 on interface net1: it has 2001/],
      [["link set net1 down"], {}, /interface net1 is down/],
      [["link del net1"], {}, /ontainer Interface name in prevResult: net1 not found/],
    ];
    for (const [lines, own, words] of rows) {
      const pod = await site.pod();
      const prevResult = await site.add(pod, config);
      pod.ip(...lines);
      await assert.rejects(site.call("CHECK", pod, { ...config, ...own }, { prevResult }), words);
      // Not left to the kernel, which comes to it when it pleases: the next pod gets the same addresses.
      await site.call("DEL", pod, config);
    }
    const pod = await site.pod();
    const prevResult = await site.add(pod, config);
    const address = String(link(pod)?.["address"]);
    pod.ip("link del net1", `link add net1 address ${address} type dummy`);
    const words = /Container interface net1 not of type ipvlan, it is dummy/;
    await assert.rejects(site.call("CHECK", pod, config, { prevResult }), words);
  },
  "STATUS looks at the IPAM plugin, the kernel and the master; GC hands the list on": async () => {
    const ipam = new ScriptedIpam();
    using site = new GuestSite(1, [ipam.plugin]);
    const config = ipvlan({ ipam: { type: "scripted" } });
    const before = site.state();
    await site.call("STATUS", "", config);
    await site.call("STATUS", "", { ...config, master: "" });
    await site.call("STATUS", "", { ...config, master: "up0", linkInContainer: true });
    await assert.rejects(site.call("STATUS", "", { ...config, master: "eth7" }), { code: 50 });
    const valid = [{ containerID: "ctr1", ifname: "net1" }];
    await site.call("GC", "", { ...config, mode: "zzz", "cni.dev/valid-attachments": valid });
    assert.deepEqual(ipam.asked, ["STATUS", "STATUS", "STATUS", "STATUS", "GC ctr1/net1"]);
    assert.deepEqual(site.state(), before);
  },
};

export const cases: GuestCases = { ...traffic, ...making, ...refusing, ...ending };
