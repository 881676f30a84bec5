// M10 to M14 and M18 of the NPWG specification in all their cases: what the pod's annotation asks of a network's plugins.
import { describe, expect, test } from "vitest";
import { errorOf, type Json, type MultusSite, useSite } from "../kit/multus-site.ts";
import { Recorder } from "../kit/recorder.ts";

const site = useSite();

/** What the plugin of `config` is told of an annotation element, and what the pod is told of it. */
async function asked(here: MultusSite, config: Json, element: Json, conf: Json = {}) {
  const recorder = new Recorder(here);
  here.network("asked", { cniVersion: "1.0.0", type: "recorder", ...config });
  const pod = here.pod([{ name: "asked", ...element }]);
  const before = here.kernel(pod);
  const outcome = await here.call("ADD", pod, { conf });
  const events = here.events(pod).filter((event) => !event.includes(" AddedInterface "));
  await here.call("DEL", pod, { conf });
  expect(here.remains(before, pod)).toEqual([]);
  const added = recorder.take().find(({ command }) => command === "ADD");
  return { outcome, config: added?.config, runtimeConfig: added?.config["runtimeConfig"], events };
}

describe("M18", () => {
  const claim = { "ipam-claim-reference": "vm-1.net" };

  test("ipam-claim-reference is passed to every plugin in args.cni, and as a capability to one that declares it", async () => {
    const { outcome, config, events } = await asked(site(), { capabilities: { "ipam-claim-reference": true } }, claim);
    expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
    expect(config).toMatchObject({ args: { cni: claim }, runtimeConfig: claim });
    expect(events).toEqual([]);
  });

  test("a plugin may ignore it: none needs to declare it", async () => {
    const { outcome, config, events } = await asked(site(), {}, claim, { missingCapability: "fail" });
    expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
    expect(config).toMatchObject({ args: { cni: claim } });
    expect(events).toEqual([]);
  });

  // An error by the text of 1.3; its client library lifted that in 1.7.7, since preset addresses and a claim are used together.
  test("it may stand beside ips", async () => {
    const both = { ...claim, ips: ["10.0.0.7/24"] };
    const { outcome, config } = await asked(site(), { capabilities: { ips: true } }, both);
    expect(outcome.exitCode).toBe(0);
    expect(config).toMatchObject({ args: { cni: claim }, runtimeConfig: { ips: ["10.0.0.7/24"] } });
  });

  test("it is the name of an object", async () => {
    const { outcome } = await asked(site(), {}, { "ipam-claim-reference": "a/b" });
    expect(errorOf(outcome).msg).toContain("$[0].ipam-claim-reference: expected the name of an IPAMClaim");
  });
});

interface CapabilityRule {
  readonly rule: string;
  readonly key: string;
  readonly capability: string;
  readonly value: unknown;
  /** What the plugin is told; the value itself when absent. */
  readonly told?: unknown;
  readonly invalid: readonly [value: unknown, cause: string][];
}

const capabilityRules: readonly CapabilityRule[] = [
  {
    rule: "M10",
    key: "ips",
    capability: "ips",
    value: ["192.0.2.7/24", "fd00::7"],
    invalid: [[["192.0.2"], "$[0].ips[0]: expected an IP address or CIDR"]],
  },
  {
    rule: "M11",
    key: "mac",
    capability: "mac",
    value: "02:00:00:00:00:0b",
    invalid: [
      ["02:00:00:00:00", "$[0].mac: expected a MAC address"],
      ["02:00:00:00:00:00:00:0b", "$[0].mac: expected a MAC address of six bytes"],
    ],
  },
  {
    rule: "M12",
    key: "portMappings",
    capability: "portMappings",
    value: [
      { hostPort: 8080, containerPort: 80 },
      { hostPort: 53, containerPort: 53, protocol: "Udp" },
    ],
    told: [
      { hostPort: 8080, containerPort: 80, protocol: "tcp" },
      { hostPort: 53, containerPort: 53, protocol: "udp" },
    ],
    invalid: [
      [[{ hostPort: 0, containerPort: 80 }], "$[0].portMappings[0].hostPort: expected an integer from 1 to 65535"],
      [[{ hostPort: 80, containerPort: 65_536 }], "containerPort: expected an integer from 1 to 65535"],
      [[{ hostPort: 80, containerPort: 80, protocol: "gre" }], "protocol: expected TCP, UDP or SCTP"],
    ],
  },
  {
    rule: "M13",
    key: "bandwidth",
    capability: "bandwidth",
    value: { ingressRate: 1000, egressRate: 2000, egressBurst: 3000 },
    told: { ingressRate: 1000, ingressBurst: 2_147_483_647, egressRate: 2000, egressBurst: 3000 },
    invalid: [
      [{ ingressRate: 0, egressRate: 0 }, "expected ingressRate or egressRate"],
      [{ ingressRate: 1000, egressBurst: 1000 }, "egressBurst needs egressRate"],
      [{ ingressRate: -1 }, "$[0].bandwidth.ingressRate: expected an integer of at least 0"],
    ],
  },
  {
    rule: "M14",
    key: "infiniband-guid",
    capability: "infinibandGUID",
    value: "c2:b0:57:49:47:f1:00:01",
    invalid: [["c2:b0:57:49:47:f1", "expected a GUID of eight bytes"]],
  },
];

describe.each(capabilityRules)("$rule", ({ key, capability, value, told = value, invalid }) => {
  test(`${key} is passed as runtimeConfig.${capability} to a plugin that declares it`, async () => {
    const { outcome, runtimeConfig, events } = await asked(
      site(),
      { capabilities: { [capability]: true } },
      { [key]: value },
    );
    expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
    expect(runtimeConfig).toEqual({ [capability]: told });
    expect(events).toEqual([]);
  });

  test(`${key} that no plugin declares ${capability} for is an event and a log line`, async () => {
    const { outcome, runtimeConfig, events } = await asked(site(), {}, { [key]: value });
    expect(outcome.exitCode).toBe(0);
    expect(outcome.stderr).toContain(`declare "capabilities": {"${capability}": true}`);
    expect(runtimeConfig).toBeUndefined();
    expect(events).toEqual([
      `Warning MissingCapability network default/asked (interface net1): "${key}" of the pod's annotation reaches no plugin (recorder): ` +
        `declare "capabilities": {"${capability}": true} in the config of the plugin that honours it`,
    ]);
  });

  test(`${key} that no plugin declares ${capability} for fails the attachment, as the specification has it, with missingCapability: fail`, async () => {
    const { outcome, events } = await asked(site(), {}, { [key]: value }, { missingCapability: "fail" });
    expect(errorOf(outcome)).toMatchObject({
      code: 7,
      msg: expect.stringContaining(`"${key}" of the pod's annotation`),
    });
    expect(events).toEqual([expect.stringMatching(/^Warning MissingCapability /)]);
  });

  test.each(invalid)(`${key} %j makes the annotation invalid`, async (bad, cause) => {
    const { outcome, events } = await asked(site(), {}, { [key]: bad });
    expect(errorOf(outcome)).toMatchObject({ code: 7, msg: expect.stringContaining(cause) });
    expect(events).toEqual([expect.stringMatching(/^Warning InvalidNetworkSelection /)]);
  });
});
