// Behaviour: order, failures, what is whose.
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { errorOf } from "../../kit/multus-site.ts";
import { Recorder } from "../../kit/recorder.ts";
import { added, expectRefusal, interfaces, main, recorded, type Rule, version } from "./world.ts";

export const behaviourRules: readonly Rule[] = [
  {
    rule: "M27",
    says: "every pod gets the default network, and gets it first",
    async holds(here) {
      recorded(here, "net");
      expect(interfaces(await added(here, "net"))).toEqual(["eth0", "net1"]);
      expect(interfaces(await added(here, ""))).toEqual(["eth0"]);
    },
  },
  {
    rule: "M28",
    says: "operations wait until the default network is ready",
    async holds(here) {
      const recorder = new Recorder(here);
      const conf = { ...main, cniVersion: "1.1.0", readinessindicatorfile: here.path("ready") };
      const pod = here.pod();
      expect(errorOf(await here.call("STATUS", pod, { conf })).code).toBe(50);
      const adding = here.call("ADD", pod, { conf });
      await Bun.sleep(300);
      expect(recorder.take()).toEqual([]);
      here.folder.write("ready", "");
      expect(await adding).toMatchObject({ exitCode: 0 });
      await here.call("DEL", pod, { conf });
    },
  },
  {
    rule: "M29",
    says: "the first failure of an ADD fails the pod; attachments that were not started are not tried",
    async holds(here) {
      here.script("fails", '[ "$CNI_COMMAND" != ADD ] || { echo \'{"code": 100, "msg": "no"}\'; exit 1; }');
      recorded(here, "good");
      here.network("bad", { ...version, type: "fails" });
      const pod = await added(here, "good,bad,good");
      expect(errorOf(pod.outcome)).toMatchObject({ code: 100, msg: expect.stringContaining('"default/bad"') });
      expect(interfaces(pod)).toEqual(["eth0", "net1"]);
    },
  },
  {
    rule: "M30",
    says: "DEL undoes every attachment that was attempted, goes on over errors, and returns one at the end",
    async holds(here) {
      here.script(
        "stays",
        `[ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion":"1.0.0"}' || [ -e ${here.path("let-go")} ] || { echo '{"code": 100, "msg": "not yet"}'; exit 1; }`,
      );
      const recorder = new Recorder(here);
      recorded(here, "good");
      here.network("bad", { ...version, type: "stays" });
      const pod = here.pod("good,bad,good");
      expect(await here.call("ADD", pod, { conf: main })).toMatchObject({ exitCode: 0 });
      recorder.take();
      expect(errorOf(await here.call("DEL", pod, { conf: main }))).toMatchObject({
        code: 100,
        msg: expect.stringContaining("not yet"),
      });
      expect(recorder.take().map(({ command, ifName }) => `${command} ${ifName}`)).toEqual([
        "DEL net3",
        "DEL net1",
        "DEL eth0",
      ]);
      here.folder.write("let-go", "");
      expect(await here.call("DEL", pod, { conf: main })).toMatchObject({ exitCode: 0 });
    },
  },
  {
    rule: "M31",
    says: "the attachments of one pod are made one after the other",
    async holds(here) {
      const log = here.path("slow.log");
      here.script("slow", `echo begin >> ${log}`, "sleep 0.1", `echo end >> ${log}`, `echo '{"cniVersion":"1.0.0"}'`);
      here.network("net", { ...version, type: "slow" });
      await added(here, "net,net,net");
      expect(readFileSync(log, "utf8").trim().split("\n")).toEqual(
        Array.from({ length: 6 }, () => ["begin", "end"]).flat(),
      );
    },
  },
  {
    rule: "M32",
    says: "a pod that names a network it must not use fails",
    async holds(here) {
      recorded(here, "net", {}, "other");
      expectRefusal(
        await added(here, "other/net", { namespaceIsolation: true }),
        "namespace isolation enabled",
        "NetworkNotAllowed",
      );
    },
  },
  {
    rule: "M33",
    says: "the runtimeConfig of kubelet is the default network's alone",
    async holds(here) {
      const capabilities = { portMappings: true };
      recorded(here, "net", { capabilities });
      const portMappings = [{ hostPort: 80, containerPort: 80, protocol: "tcp" }];
      const delegates = [{ ...version, name: "main", type: "recorder", capabilities }];
      const { adds } = await added(here, "net", { delegates, runtimeConfig: { portMappings } });
      expect(adds.map(({ config }) => config["runtimeConfig"])).toEqual([{ portMappings }, undefined]);
    },
  },
  {
    rule: "M34",
    says: "an IPAMClaim keeps its addresses until it is deleted: the IPAM plugin's to keep, which hears of the claim on DEL as on ADD",
    async holds(here) {
      recorded(here, "net");
      const claim = { "ipam-claim-reference": "vm-1.net" };
      const { adds, dels } = await added(here, [{ name: "net", ...claim }]);
      expect([adds[1]?.config["args"], dels[0]?.config["args"]]).toEqual([{ cni: claim }, { cni: claim }]);
    },
  },
];
