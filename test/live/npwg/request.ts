// The request: the annotation of a pod.
import { expect } from "vitest";
import { errorOf, type MultusSite } from "../../kit/multus-site.ts";
import { type RecordedCall } from "../../kit/recorder.ts";
import { added, expectRefusal, interfaces, names, recorded, type Rule } from "./world.ts";

/** `key` reaches a plugin with the capability, and one without it fails the attachment where the node asks for the rule to the letter. */
async function expectCapability(
  here: MultusSite,
  key: string,
  capability: string,
  value: unknown,
  told = value,
): Promise<void> {
  recorded(here, "able", { capabilities: { [capability]: true } });
  recorded(here, "deaf");
  const able = await added(here, [{ name: "able", [key]: value }], { missingCapability: "fail" });
  expect(able.adds.at(-1)?.config["runtimeConfig"]).toEqual({ [capability]: told });
  const deaf = await added(here, [{ name: "deaf", [key]: value }], { missingCapability: "fail" });
  expectRefusal(deaf, `"${key}" of the pod's annotation reaches no plugin`, "MissingCapability");
}

export const requestRules: readonly Rule[] = [
  {
    rule: "M6",
    says: "the annotation is a comma list of [namespace/]name, or a JSON list of maps",
    async holds(here) {
      recorded(here, "a");
      recorded(here, "b", {}, "other");
      expect(names(await added(here, "a,other/b"))).toEqual(["main", "a", "b"]);
      expect(names(await added(here, [{ name: "a" }, { name: "b", namespace: "other" }]))).toEqual(["main", "a", "b"]);
    },
  },
  {
    rule: "M7",
    says: "an unqualified name is one of the pod's namespace",
    async holds(here) {
      recorded(here, "net", { name: "of-default" });
      recorded(here, "net", { name: "of-tenant" }, "tenant");
      expect(names(await added(here, "net", {}, {}, "tenant"))).toEqual(["main", "of-tenant"]);
    },
  },
  {
    rule: "M8",
    says: "keys without a dot are the specification's; others' keys, with one, do not disturb",
    async holds(here) {
      recorded(here, "net");
      const { adds } = await added(here, [{ name: "net", "example.com/key": { any: ["thing"] } }]);
      expect(JSON.stringify(adds)).not.toContain("example.com/key");
    },
  },
  {
    rule: "M9",
    says: "an element needs a name",
    async holds(here) {
      expectRefusal(await added(here, [{ namespace: "default" }]), "$[0].name: expected this key, found nothing");
    },
  },
  {
    rule: "M10",
    says: "ips reach a plugin with the capability ips; without one the attachment fails (npwg-capabilities.test.ts has all cases)",
    holds: (here) => expectCapability(here, "ips", "ips", ["192.0.2.7/24", "fd00::7"]),
  },
  {
    rule: "M11",
    says: "mac likewise",
    holds: (here) => expectCapability(here, "mac", "mac", "02:00:00:00:00:0b"),
  },
  {
    rule: "M12",
    says: "portMappings likewise, of protocol TCP unless another is named",
    holds: (here) =>
      expectCapability(
        here,
        "portMappings",
        "portMappings",
        [{ hostPort: 80, containerPort: 80 }],
        [{ hostPort: 80, containerPort: 80, protocol: "tcp" }],
      ),
  },
  {
    rule: "M13",
    says: "bandwidth likewise",
    holds: (here) =>
      expectCapability(here, "bandwidth", "bandwidth", {
        ingressRate: 1,
        ingressBurst: 2,
        egressRate: 3,
        egressBurst: 4,
      }),
  },
  {
    rule: "M14",
    says: "infiniband-guid likewise, as infinibandGUID",
    holds: (here) => expectCapability(here, "infiniband-guid", "infinibandGUID", "c2:b0:57:49:47:f1:00:01"),
  },
  {
    rule: "M15",
    says: "interface becomes CNI_IFNAME; one that the pod has already fails the attachment",
    async holds(here) {
      recorded(here, "net");
      expect(interfaces(await added(here, [{ name: "net", interface: "data0" }]))).toEqual(["eth0", "data0"]);
      expectRefusal(await added(here, [{ name: "net", interface: "eth0" }]), "both want interface eth0");
      expectRefusal(await added(here, [{ name: "net", interface: "way-too-long-name" }]), "1 to 15 bytes");
      const { outcome } = await added(here, [{ name: "net", interface: "lo" }]);
      expect(errorOf(outcome).msg).toContain("interface name lo already exists");
    },
  },
  {
    rule: "M16",
    says: "cni-args are merged into args, the pod's values winning over the definition's",
    async holds(here) {
      recorded(here, "net", { args: { cni: { a: "definition", b: "definition" } } });
      const { adds } = await added(here, [{ name: "net", "cni-args": { b: "pod", c: "pod" } }]);
      expect(adds[1]?.config["args"]).toEqual({ cni: { a: "definition", b: "pod", c: "pod" } });
    },
  },
  {
    rule: "M17",
    says: "default-route gives one attachment the pod's default route and takes it from all others, the default network included",
    async holds(here) {
      here.network("net", here.macvlan("net", "10.9.0.0/24"));
      const pod = here.pod([{ name: "net", "default-route": ["10.9.0.1"] }]);
      expect(await here.call("ADD", pod)).toMatchObject({ exitCode: 0 });
      expect(pod.netns.run("ip", "-4", "route", "show", "default").trim()).toBe("default via 10.9.0.1 dev net1");
      expect(here.status(pod)?.map((each) => each["gateway"])).toEqual([undefined, ["10.9.0.1"]]);
      await here.call("DEL", pod);
      recorded(here, "a");
      const two = await added(here, [
        { name: "a", "default-route": ["10.0.0.1"] },
        { name: "a", "default-route": ["10.0.0.2"] },
      ]);
      expectRefusal(two, "default-route names 2 IPv4 gateways");
    },
  },
  {
    rule: "M18",
    says: "ipam-claim-reference is passed on, and a delegate may ignore it; beside ips it is accepted, as by the client library since 1.7.7",
    async holds(here) {
      recorded(here, "net", { capabilities: { ips: true } });
      const claim = { "ipam-claim-reference": "vm-1.net" };
      const { adds } = await added(here, [{ name: "net", ...claim, ips: ["10.0.0.7/8"] }]);
      expect(adds[1]?.config).toMatchObject({ args: { cni: claim }, runtimeConfig: { ips: ["10.0.0.7/8"] } });
    },
  },
  {
    rule: "M19",
    says: "an invalid value makes the whole annotation invalid; on purpose the pod then fails instead of starting without its networks",
    async holds(here) {
      recorded(here, "net");
      expectRefusal(await added(here, [{ name: "net" }, { name: "net", ips: ["nonsense"] }]), "$[1].ips[0]");
    },
  },
  {
    rule: "M20",
    says: "a network that is listed twice is attached twice: two interfaces, two entries in the status",
    async holds(here) {
      here.network("net", here.macvlan("net", "10.9.0.0/24"));
      const { status } = await added(here, "net,net");
      expect(status.slice(1).map((each) => [each["name"], each["interface"], each["ips"]])).toEqual([
        ["default/net", "net1", ["10.9.0.2"]],
        ["default/net", "net2", ["10.9.0.3"]],
      ]);
    },
  },
  {
    rule: "M21",
    says: "ADD and DEL of an attachment are called with the same container, network and interface",
    async holds(here) {
      recorded(here, "net");
      const { adds, dels } = await added(here, "net@x0,net");
      const identity = ({ containerId, ifName, netns, args, config }: RecordedCall) => [
        containerId,
        ifName,
        netns,
        args,
        config["name"],
      ];
      expect(adds).toHaveLength(3);
      expect(dels.map(identity)).toEqual(adds.map(identity).toReversed());
    },
  },
];
