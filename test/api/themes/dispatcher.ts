// The suite of package multus: what a call does with its delegates.
import { rmSync } from "node:fs";
import { expect } from "vitest";
import { mustCallCni } from "../../kit/cni-caller.ts";
import { errorOf } from "../../kit/multus-site.ts";
import { Recorder } from "../../kit/recorder.ts";
import { added, attached, interfaces, main, names, recorded, refusal, type Theme, version } from "./world.ts";

const withAddress = {
  ...version,
  interfaces: [{ name: "x0", mac: "02:00:00:00:00:01", sandbox: "/run/netns/x" }],
  ips: [{ address: "10.0.0.2/24", interface: 0 }],
};

export const dispatcherThemes: readonly Theme[] = [
  {
    suite: "multus",
    theme: "delegates are called in order, and deleted in reverse",
    async holds(here) {
      const two = [await recorded(here), await recorded(here)];
      const all = await attached(here, two.join(","));
      expect(names(all)).toEqual(["main", ...two]);
      expect(all.dels.map(({ config }) => config["name"])).toEqual([...two.toReversed(), "main"]);
    },
  },
  {
    suite: "multus",
    theme: "a plugin without an interface, or without a result version, still has its element of the status",
    async holds(here) {
      const name = await recorded(here);
      for (const result of [version, {}]) {
        const { status } = await attached(here, name, { result });
        expect(status).toMatchObject([{ name: "main", default: true }, { name: `${here.namespace}/${name}` }]);
      }
    },
  },
  {
    suite: "multus",
    theme: "a namespace that is not there fails the ADD, and is no hindrance to DEL",
    async holds(here) {
      const pod = await here.pod();
      const over = { netns: "/run/netns/nowhere", conf: main };
      expect(errorOf(await here.call("ADD", pod, over))).toMatchObject({ code: 8 });
      await mustCallCni(here.cniCall("DEL", pod, over));
    },
  },
  {
    suite: "multus",
    theme: "a delegate that fails takes all before it along, whether its config has a name or not",
    async holds(here) {
      here.local.script("fails", '[ "$CNI_COMMAND" != ADD ] || { echo \'{"code":100,"msg":"no luck"}\'; exit 1; }');
      const first = await recorded(here);
      for (const [bad, config] of Object.entries({ named: { name: "x" }, nameless: {} })) {
        await here.network(bad, { ...version, type: "fails", ...config });
        const { outcome, dels, adds } = await added(here, `${first},${bad},${first}`);
        expect(errorOf(outcome)).toMatchObject({ code: 100, msg: expect.stringContaining("no luck") as string });
        expect(adds.map(({ ifName }) => ifName)).toEqual(["eth0", "net1"]);
        expect(dels).toEqual([]);
      }
    },
  },
  {
    suite: "multus",
    theme: "an event for each interface with its addresses, and one for each failure",
    async holds(here) {
      const name = await recorded(here);
      const { events } = await attached(here, name, { result: withAddress });
      expect(events).toEqual([
        "Normal AddedInterface Add eth0 [10.0.0.2/24] from main",
        `Normal AddedInterface Add net1 [10.0.0.2/24] from ${here.namespace}/${name}`,
      ]);
      const failed = await added(here, "nowhere");
      expect(failed.events).toEqual([expect.stringMatching(/^Warning NoNetworkFound cannot find /) as string]);
    },
  },
  {
    suite: "multus",
    theme: "DEL after the pod is gone from the API server",
    async holds(here) {
      const name = await recorded(here);
      const pod = await here.pod(name);
      const recorder = new Recorder(here.local);
      await mustCallCni(here.cniCall("ADD", pod, { conf: main }));
      await here.deletePod(pod);
      recorder.take();
      await mustCallCni(here.cniCall("DEL", pod, { conf: main }));
      expect(recorder.take().map(({ command, ifName }) => `${command} ${ifName}`)).toEqual(["DEL net1", "DEL eth0"]);
    },
  },
  {
    suite: "multus",
    theme: "a journal is written before anything is attached, and DEL without it asks the API server",
    async holds(here) {
      const name = await recorded(here);
      const pod = await here.pod(name);
      const recorder = new Recorder(here.local);
      await mustCallCni(here.cniCall("ADD", pod, { conf: main }));
      expect(here.local.journal(pod)).toHaveLength(2);
      rmSync(here.local.path("cni"), { recursive: true });
      recorder.take();
      await mustCallCni(here.cniCall("DEL", pod, { conf: main }));
      expect(recorder.take().map(({ ifName }) => ifName)).toEqual(["net1", "eth0"]);
    },
  },
  {
    suite: "multus",
    theme: "what the runtime sends reaches the default network, what the pod asks for its own",
    async holds(here) {
      const capabilities = { portMappings: true, mac: true };
      const name = await recorded(here, { capabilities });
      const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }];
      const delegates = [{ ...version, name: "main", type: "recorder", capabilities }];
      const own = { portMappings: [{ hostPort: 1, containerPort: 2, protocol: "udp" }], mac: "02:00:00:00:00:09" };
      const { adds } = await attached(here, [{ name, ...own }], {
        conf: { delegates, runtimeConfig: { portMappings } },
      });
      expect(adds.map(({ config }) => config["runtimeConfig"])).toEqual([{ portMappings }, own]);
    },
  },
  {
    suite: "multus",
    theme: "the uid that the runtime knows: the pod's, another one, none",
    async holds(here) {
      const args = (uid: string) => (pod: { namespace: string; name: string }) =>
        `IgnoreUnknown=1;K8S_POD_NAMESPACE=${pod.namespace};K8S_POD_NAME=${pod.name}${uid}`;
      await attached(here, "");
      await attached(here, "", { args: args("") });
      expect(await refusal(here, "", { args: args(";K8S_POD_UID=other") })).toContain(
        'expected pod UID "other" but got ',
      );
    },
  },
  {
    suite: "multus",
    theme: "CHECK asks every network of the pod, and hands on what one of them finds",
    async holds(here) {
      here.local.script(
        "broken",
        '[ "$CNI_COMMAND" != CHECK ] || { echo \'{"code":100,"msg":"link is gone"}\'; exit 1; }',
        'echo \'{"cniVersion":"1.0.0"}\'',
      );
      await here.network("broken", { ...version, type: "broken" });
      const good = await recorded(here);
      await attached(here, good, {
        look: async (pod) => void (await mustCallCni(here.cniCall("CHECK", pod, { conf: main }))),
      });
      await attached(here, `${good},broken`, {
        look: async (pod) => {
          expect(errorOf(await here.call("CHECK", pod, { conf: main })).msg).toContain("link is gone");
        },
      });
    },
  },
  {
    suite: "multus",
    theme: "prevResult: a delegate's list hands it on, and DEL and CHECK have that of the ADD",
    async holds(here) {
      await here.network("list", { ...version, name: "list", plugins: [{ type: "recorder" }, { type: "recorder" }] });
      const { adds, dels } = await attached(here, "list", { result: withAddress });
      expect(adds.slice(1).map(({ config }) => config["prevResult"])).toEqual([undefined, withAddress]);
      expect(dels.slice(0, 2).map(({ config }) => config["prevResult"])).toMatchObject([withAddress, withAddress]);
    },
  },
  {
    suite: "multus",
    theme: "STATUS hands on the code of the default network",
    async holds(here) {
      here.local.script("sick", 'echo \'{"code":51,"msg":"half ill"}\'; exit 1');
      const conf = { delegates: [{ cniVersion: "1.1.0", name: "main", type: "sick" }] };
      expect(errorOf(await here.call("STATUS", await here.pod(), { conf }))).toMatchObject({
        code: 51,
        msg: "half ill",
      });
    },
  },
  {
    suite: "multus",
    theme: "GC, of a single plugin and of a list, takes containers down that the runtime has forgotten",
    async holds(here) {
      for (const plugins of [undefined, [{ type: "recorder" }]]) {
        const delegate = {
          cniVersion: "1.1.0",
          name: "main",
          ...(plugins === undefined ? { type: "recorder" } : { plugins }),
        };
        const recorder = new Recorder(here.local);
        const [living, gone] = [await here.pod(), await here.pod()];
        const conf = { delegates: [delegate] };
        for (const pod of [living, gone]) await mustCallCni(here.cniCall("ADD", pod, { conf }));
        recorder.take();
        const valid = [{ containerID: living.containerId, ifname: "eth0" }];
        await mustCallCni(here.cniCall("GC", living, { conf: { ...conf, "cni.dev/valid-attachments": valid } }));
        const calls = recorder.take().map(({ command, containerId }) => `${command} ${containerId}`.trim());
        expect(calls).toEqual([`DEL ${gone.containerId}`, "GC"]);
        await mustCallCni(here.cniCall("DEL", living, { conf }));
      }
    },
  },
  {
    suite: "multus",
    theme: "interfaces without a name are numbered over all networks",
    async holds(here) {
      const name = await recorded(here);
      const networks = [{ name }, { name, interface: "data0" }, { name }];
      expect(interfaces(await attached(here, networks))).toEqual(["eth0", "net1", "data0", "net3"]);
    },
  },
];
