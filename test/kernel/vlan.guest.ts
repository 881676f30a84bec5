import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { emptyResult, type Result } from "../../src/cni/result.ts";
import type { JsonObject } from "../../src/json/value.ts";
import { open, O_RDONLY } from "../../src/libc/file.ts";
import type { PinnedNetns } from "../kit/node-netns.ts";
import { ScriptedIpam } from "../kit/scripted-ipam.ts";
import { dual, fixed, GuestSite, link, reaches, reachesNone } from "./site.ts";
import type { GuestCases } from "./uml.ts";

const vlan = (id: number, own: JsonObject = {}) => ({ type: "vlan", master: "eth0", vlanId: id, ipam: {}, ...own });

const traffic: GuestCases = {
  "pods of one VLAN on two nodes reach each other in both families, and no other VLAN": async () => {
    using site = new GuestSite(2);
    const near = await site.pod(vlan(100, dual(5)));
    const far = await site.pod(vlan(100, dual(6)), 1);
    const other = await site.pod(vlan(101, dual(7)), 1);
    site.node(1).ip("addr add 192.0.2.9/24 dev eth0", "addr add 2001:db8::9/64 dev eth0 nodad");
    reaches(near, "192.0.2.6", "2001:db8::6");
    reaches(far, "192.0.2.5", "2001:db8::5");
    reachesNone(near, "192.0.2.7", "2001:db8::7", "192.0.2.9");
    assert.deepEqual([other.exists(), site.caller().log], [true, []]);
  },
  "a pod with two VLANs reaches the nodes of both": async () => {
    using site = new GuestSite(2);
    const own = (net: number, host: number) => fixed([`192.168.${net}.${host}/24`]);
    const pod = await site.pod();
    await site.add(pod, vlan(100, own(100, 211)));
    await site.add(pod, vlan(200, own(200, 211)), "net2");
    for (const id of [100, 200]) {
      site
        .node(1)
        .ip(
          `link add link eth0 name eth0.${id} type vlan id ${id}`,
          `addr add 192.168.${id}.200/24 dev eth0.${id}`,
          `link set eth0.${id} up`,
        );
    }
    reaches(pod, "192.168.100.200", "192.168.200.200");
    reaches(site.node(1), "192.168.100.211", "192.168.200.211");
  },
  "the first and the last id get through, 0 as a mere priority tag": async () => {
    using site = new GuestSite(2);
    for (const id of [1, 4094]) {
      const pod = await site.pod(vlan(id, fixed([`10.1.${id % 256}.5/24`])));
      await site.pod(vlan(id, fixed([`10.1.${id % 256}.6/24`])), 1);
      reaches(pod, `10.1.${id % 256}.6`);
    }
    const pod = await site.pod(vlan(0));
    assert.partialDeepStrictEqual(link(pod), { linkinfo: { data: { protocol: "802.1Q", id: 0 } } });
  },
  "the cure works: pods share the node's VLAN device by macvlan": async () => {
    using site = new GuestSite(2);
    for (const node of site.lan.nodes) {
      node.ip("link add link eth0 name eth0.100 type vlan id 100", "link set eth0.100 up");
    }
    const macvlan = (host: number) => ({ type: "macvlan", master: "eth0.100", ...dual(host) });
    const near = await site.pod(macvlan(5));
    await site.pod(macvlan(6));
    await site.pod(macvlan(7), 1);
    reaches(near, "192.0.2.6", "192.0.2.7", "2001:db8::6", "2001:db8::7");
  },
  "the cure works: pods share the node's VLAN device by ipvlan": async () => {
    using site = new GuestSite(2);
    for (const node of site.lan.nodes) {
      node.ip("link add link eth0 name eth0.100 type vlan id 100", "link set eth0.100 up");
    }
    const ipvlan = (host: number) => ({ type: "ipvlan", master: "eth0.100", ...dual(host) });
    const near = await site.pod(ipvlan(5));
    await site.pod(ipvlan(6));
    await site.pod(ipvlan(7), 1);
    reaches(near, "192.0.2.6", "192.0.2.7", "2001:db8::6", "2001:db8::7");
  },
};

/** A veth pair in the pod, one end of which is the master. */
const inPod: JsonObject = { linkInContainer: true, master: "up0" };
const podLinks = ["link add up0 type veth peer name up1", "link set up0 up", "link set up1 up"];

const making: GuestCases = {
  "ADD, CHECK and DEL, with the master on the node or in the pod": async () => {
    for (const place of [{}, inPod]) {
      using site = new GuestSite();
      const pod = await site.pod();
      if (place === inPod) pod.ip(...podLinks);
      const before = site.state(pod);
      const config = vlan(100, {
        ...place,
        mtu: 1400,
        ...fixed(["192.0.2.5/24 via 192.0.2.1", "2001:db8::5/64 via 2001:db8::1"], {
          routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }, { dst: "198.51.100.0/24", priority: 7, mtu: 1300 }],
          dns: { nameservers: ["192.0.2.53"] },
        }),
      });
      // On the node there is a link of that name too, and this kernel looks for it there.
      const ifName = "eth0";
      const result = await site.add(pod, config, ifName);
      const master = place === inPod ? link(pod, "up0") : link(site.node(), "eth0");
      assert.partialDeepStrictEqual(link(pod, ifName), {
        mtu: 1400,
        address: master?.["address"],
        linkinfo: { kind: "vlan", data: { protocol: "802.1Q", id: 100 } },
      });
      assert.deepEqual(result.interfaces, [{ name: ifName, mac: master?.["address"], mtu: 1400, sandbox: pod.path }]);
      assert.deepEqual(result.dns, { nameservers: ["192.0.2.53"] });
      assert.doesNotMatch(pod.run("ip", "addr", "show", "dev", ifName), /tentative/);
      assert.match(pod.run("ip", "route"), /^198\.51\.100\.0\/24 via 192\.0\.2\.1 dev eth0 metric 7 mtu 1300/m);
      await site.call("CHECK", pod, config, { prevResult: result, ifName });
      await site.call("DEL", pod, config, { prevResult: result, ifName });
      await site.call("DEL", pod, config, { prevResult: result, ifName });
      assert.deepEqual(site.state(pod), before);
    }
  },
  "the MTU is the master's unless the config lowers it": async () => {
    using site = new GuestSite();
    site.node().ip("link set eth0 mtu 1450");
    const pod = await site.pod();
    for (const [own, id, mtu] of [
      [{}, 100, 1450],
      [{ mtu: 0 }, 101, 1450],
      [{ mtu: 1450 }, 102, 1450],
      [{ mtu: 1280 }, 103, 1280],
    ] as const) {
      const { interfaces } = await site.add(pod, vlan(id, own), `net${id}`);
      assert.deepEqual([link(pod, `net${id}`)?.["mtu"], interfaces[0]?.mtu], [mtu, mtu]);
    }
  },
  "in a chain the master is the interface of the previous result, where it is to be": async () => {
    using site = new GuestSite();
    const pod = await site.pod();
    pod.ip(...podLinks);
    const config = { type: "vlan", vlanId: 100, ipam: {} };
    const prev = (own: object): Result => ({ ...emptyResult, interfaces: [{ name: "eth0", ...own }] });
    await site.caller().add({ config, pod, prevResult: prev({}) });
    const beside = prev({ name: "up0", sandbox: pod.path });
    await site.caller().add({ config: { ...config, linkInContainer: true }, pod, ifName: "net2", prevResult: beside });
    await assert.rejects(site.caller().add({ config, pod, ifName: "net3", prevResult: beside }), {
      code: 7,
      message: /^"master" field is required\. It specifies the host interface name to create the VLAN for/,
    });
  },
  "a VLAN of a VLAN, and one of a macvlan": async () => {
    using site = new GuestSite(2);
    for (const node of site.lan.nodes) {
      node.ip(
        "link add link eth0 name eth0.7 type vlan id 7",
        "link set eth0.7 up",
        "link add link eth0 name mv0 type macvlan mode bridge",
        "link set mv0 up",
      );
    }
    const config = (master: string, net: number, host: number) =>
      vlan(100, { master, ...fixed([`10.1.${net}.${host}/24`]) });
    const pod = await site.pod(config("eth0.7", 1, 5));
    await site.pod(config("eth0.7", 1, 6), 1);
    reaches(pod, "10.1.1.6");
    await site.add(pod, config("mv0", 2, 5), "net2");
    await site.pod(config("mv0", 2, 6), 1);
    reaches(pod, "10.1.2.6");
  },
  "a MAC that was asked for is told to be ignored": async () => {
    using site = new GuestSite();
    await site.pod(vlan(100, { runtimeConfig: { mac: "02:00:00:00:00:05" } }));
    assert.match(site.caller().log[0]?.message ?? "", /^net1 has the MAC of eth0, not 02:00:00:00:00:05: type vlan/);
  },
  "with enabledad an address that another node has is found": async () => {
    using site = new GuestSite(2);
    site
      .node(1)
      .ip(
        "link add link eth0 name eth0.100 type vlan id 100",
        "addr add 2001:db8::66/64 dev eth0.100 nodad",
        "link set eth0.100 up",
      );
    const config = vlan(100, { enabledad: true, ...fixed(["2001:db8::66/64"]) });
    await site.refuses(await site.pod(), config, "link net1 has address 2001:db8::66/64 in DADFAILED state");
  },
};

const exists = "failed to create vlan: file exists (kernel: 8021q: VLAN device already exists); VLAN 100 of eth0";
const only = "and there can be only one; ";
const share = `${only}to share it between pods, make it a device of the node (ip link add link eth0 name eth0.100 type vlan id 100) and let the network be of type macvlan or ipvlan with master eth0.100; or use another vlanId`;

const taken: GuestCases = {
  "a VLAN id that the node has names its device, and both cures": async () => {
    using site = new GuestSite();
    site.node().ip("link add link eth0 name vlan.100 type vlan id 100");
    await site.refuses(
      await site.pod(),
      vlan(100),
      `${exists} is taken by interface vlan.100 of the node, ${only}let the network be of type macvlan or ipvlan with master vlan.100, which pods can share; or use another vlanId`,
    );
  },
  "a VLAN id that a pod has names the pod, until it is gone": async () => {
    using site = new GuestSite();
    const [first, second] = [await site.pod(vlan(100)), await site.pod()];
    await site.refuses(second, vlan(100), `${exists} is taken by interface net1 of ${first.path}, ${share}`);
    await site.call("DEL", first, vlan(100));
    await site.add(second, vlan(100));
  },
  "a VLAN id that the same pod has": async () => {
    using site = new GuestSite();
    const pod = await site.pod();
    await site.add(pod, vlan(100), "net7");
    await site.refuses(pod, vlan(100), `${exists} is taken by interface net7 of ${pod.path}, ${share}`);
  },
  "a VLAN id of a master in the pod": async () => {
    using site = new GuestSite();
    const pod = await site.pod();
    pod.ip(...podLinks);
    await site.add(pod, vlan(100, inPod), "net7");
    await site.refuses(
      pod,
      vlan(100, inPod),
      `${exists.replace("eth0", "up0")} is taken by interface net7 of this pod (${pod.path}), ${only}let the network be of type macvlan or ipvlan with master net7`,
    );
  },
  "a VLAN id that only a process's namespace has names the process": async () => {
    using site = new GuestSite();
    const pod = await site.pod(vlan(100));
    const process = Bun.spawn(["nsenter", `--net=${pod.path}`, "--", "sleep", "600"]);
    // nsenter(1) becomes the program once it is in there.
    while (readFileSync(`/proc/${process.pid}/comm`, "utf8") !== "sleep\n") await Bun.sleep(20);
    pod[Symbol.dispose]();
    const words = `${exists} is taken by interface net1 of process ${process.pid} (sleep), ${share}`;
    await site.refuses(await site.pod(), vlan(100), words);
    process.kill();
    await process.exited;
  },
  "a VLAN id that a namespace out of sight has is code 11, to be tried again": async () => {
    using site = new GuestSite();
    const pod = await site.pod(vlan(100));
    const hidden = open(pod.path, O_RDONLY);
    pod[Symbol.dispose]();
    const second = await site.pod();
    await site.refuses(second, vlan(100), `${exists} is taken in a network namespace that can't be seen from here`, 11);
    // The kernel takes a moment to tear it down, which ADD waits for.
    hidden[Symbol.dispose]();
    await site.add(second, vlan(100));
  },
  "an id is free on other masters, and others are free on this one": async () => {
    using site = new GuestSite();
    site.node().ip("link add eth1 type dummy", "link set eth1 up");
    const pod = await site.pod(vlan(100));
    await site.add(pod, vlan(100, { master: "eth1" }), "net2");
    await site.add(pod, vlan(101), "net3");
  },
};

const refusing: GuestCases = {
  "masters, names and MTUs that can't be": async () => {
    using site = new GuestSite();
    const pod = await site.pod();
    const rows: readonly (readonly [JsonObject, string, number?])[] = [
      [
        { master: "lo" },
        "failed to create vlan: operation not supported (kernel: 8021q: VLANs not supported on device); lo on the node can't carry VLANs",
      ],
      [{ master: "eth1" }, 'Link not found: master "eth1" does not exist on the node; did you mean eth0?', 7],
      [{ mtu: 9000 }, "invalid MTU 9000, must be [0, master MTU(1500)]; lower it to 1500", 7],
      [{ mtu: -1 }, "invalid MTU -1, must be [0, master MTU(1500)]; 0 or no mtu leaves it to the kernel", 7],
      [fixed(["192.0.2.5"]), "failed to execute IPAM delegate: ", 7],
      [fixed([]), "IPAM plugin returned missing IP config"],
      [fixed(["192.0.2.5/24"], { routes: [{ dst: "198.51.100.0/24", gw: "203.0.113.1" }] }), "failed to add route"],
    ];
    for (const [own, words, code] of rows) await site.refuses(pod, vlan(100, own), words, code);
    pod.ip("link add net1 type dummy");
    const words = `failed to create vlan: file exists; pod ${pod.path} has an interface net1 already, of another network`;
    await site.refuses(pod, vlan(100), words);
  },
  "a master that is down": async () => {
    using site = new GuestSite();
    site.node().ip("link set eth0 down");
    const words =
      'failed to set "net1" UP: network is down; a VLAN can\'t be up while its master is down: `ip link set eth0 up`';
    await site.refuses(await site.pod(), vlan(100, fixed(["192.0.2.5/24"])), words);
  },
};

const ending: GuestCases = {
  "DEL needs no master, no config and no namespace, and takes the link before it gives the address back": async () => {
    let current: PinnedNetns | undefined;
    const ipam = new ScriptedIpam(undefined, () => current?.exists() === true && link(current) !== undefined);
    using site = new GuestSite(1, [ipam.plugin]);
    const config = vlan(100, { ipam: { type: "scripted" } });
    const add = async () => {
      current = await site.pod(config);
      ipam.forget();
      return current;
    };
    for (const own of [
      { master: "" },
      { master: "nowhere" },
      { master: "", linkInContainer: true },
      { vlanId: 9999, mtu: "many" },
      { prevResult: { cniVersion: "1.1.0", interfaces: "what" } },
    ]) {
      await site.call("DEL", await add(), { ...config, ...own });
      assert.deepEqual(ipam.asked, ["DEL without link"]);
    }
    const pod = await add();
    pod[Symbol.dispose]();
    await site.call("DEL", pod, config);
    await site.call("DEL", "", config);
    assert.deepEqual(ipam.asked, ["DEL without link", "DEL without link"]);
  },
  "an ADD that fails behind the IPAM plugin takes the link, and then gives the address back": async () => {
    let current: PinnedNetns | undefined;
    const ipam = new ScriptedIpam(undefined, () => current?.exists() === true && link(current) !== undefined);
    using site = new GuestSite(1, [ipam.plugin]);
    current = await site.pod();
    site.node().ip("link set eth0 down");
    await site.refuses(current, vlan(100, { ipam: { type: "scripted" } }), 'failed to set "net1" UP: network is down');
    assert.deepEqual(ipam.asked, ["ADD with link", "DEL without link"]);
  },
  "CHECK finds another kind, id, MTU, master, address, and a link that is gone": async () => {
    using site = new GuestSite();
    site.node().ip("link add eth1 type dummy");
    const config = vlan(100, { mtu: 1400, ...dual(5) });
    const rows: readonly (readonly [string[], JsonObject, RegExp])[] = [
      [[], { vlanId: 101 }, /^CniError: container vlan id 100 does not match expected value: 101/],
      [["link set net1 mtu 1300"], {}, /^CniError: container vlan MTU 1300 does not match expected value: 1400/],
      [[], { master: "eth1" }, /^CniError: container vlan net1 is not on master eth1/],
      [[], { master: "eth2" }, /^CniError: Link not found: master "eth2"/],
      [["addr del 192.0.2.5/24 dev net1"], {}, /Failed to match addr 192\.0\.2\.5\/24 on interface net1: it has 2001/],
      [["link set net1 down"], {}, /interface net1 is down/],
      [["link set net1 address 02:00:00:00:00:77"], {}, /doesn't match container Mac: 02:00:00:00:00:77/],
      [["link del net1"], {}, /ontainer Interface name in prevResult: net1 not found/],
    ];
    for (const [lines, own, words] of rows) {
      const pod = await site.pod();
      const prevResult = await site.add(pod, config);
      await site.call("CHECK", pod, config, { prevResult });
      pod.ip(...lines);
      await assert.rejects(site.call("CHECK", pod, { ...config, ...own }, { prevResult }), words);
      await site.call("DEL", pod, config);
    }
    const pod = await site.pod();
    const prevResult = await site.add(pod, config);
    const address = String(link(pod)?.["address"]);
    pod.ip("link del net1", `link add net1 address ${address} type dummy`);
    const words = /Container interface net1 not of type vlan, it is dummy/;
    await assert.rejects(site.call("CHECK", pod, config, { prevResult }), words);
  },
  "STATUS looks at the IPAM plugin, the kernel and the master; GC hands the list on": async () => {
    const ipam = new ScriptedIpam();
    using site = new GuestSite(1, [ipam.plugin]);
    const config = vlan(100, { ipam: { type: "scripted" } });
    const before = site.state();
    await site.call("STATUS", "", config);
    await site.call("STATUS", "", { ...config, master: "up0", linkInContainer: true });
    await assert.rejects(site.call("STATUS", "", { ...config, master: "eth7" }), { code: 50 });
    const valid = [{ containerID: "ctr1", ifname: "net1" }];
    await site.call("GC", "", { ...config, vlanId: -5, "cni.dev/valid-attachments": valid });
    assert.deepEqual(ipam.asked, ["STATUS", "STATUS", "STATUS", "GC ctr1/net1"]);
    assert.deepEqual(site.state(), before);
  },
};

export const cases: GuestCases = { ...traffic, ...making, ...taken, ...refusing, ...ending };
