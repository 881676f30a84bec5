import { describe, expect, test } from "vitest";
import { ScriptedServer } from "../kube/scripted-server.test-data.ts";
import { claimedDevices } from "./api-claims.ts";
import { claimsOf } from "./pod-claims.ts";

const base = { namespace: "default", name: "web", uid: "u", annotations: {}, isStatic: false, nodeName: "node-1" };

describe("the claims of a pod's status", () => {
  test.each<[string, object, object[]]>([
    ["no status", {}, []],
    ["a status without claims", { phase: "Pending" }, []],
    [
      "claims of its spec, one of which was not needed",
      { resourceClaimStatuses: [{ name: "a", resourceClaimName: "web-a" }, { name: "b" }] },
      [{ name: "web-a", resources: new Map() }],
    ],
    [
      "the claim that stands for resources of a device plugin",
      {
        extendedResourceClaimStatus: {
          resourceClaimName: "web-extended",
          requestMappings: [{ containerName: "main", resourceName: "example.com/nic", requestName: "r0" }],
        },
      },
      [{ name: "web-extended", resources: new Map([["r0", "example.com/nic"]]) }],
    ],
  ])("%s", (_, status, want) => {
    expect(claimsOf(status as Parameters<typeof claimsOf>[0])).toEqual(want);
  });
});

const results = (...requests: string[]) =>
  requests.map((request, index) => ({ request, driver: "d", pool: "p", device: `dev-${index}` }));
const device = (name: string, ...attributes: [string, object][]) => ({
  name,
  attributes: Object.fromEntries(attributes),
});
const id = (string: string): [string, object] => ["k8s.cni.cncf.io/deviceID", { string }];

function server(allocation: object): ScriptedServer {
  return new ScriptedServer(({ path }) => {
    if (path.includes("/resourceclaims/")) return Response.json({ status: allocation });
    const devices = [device("dev-0", id("a")), device("dev-1", id("b"), ["n", { int: 1 }]), device("dev-2")];
    return Response.json({ metadata: {}, items: [{ spec: { pool: { name: "p" }, devices } }] });
  });
}

describe("the devices of a pod's claims", () => {
  test("are of the resource that the request was made for, where it stands for one", async () => {
    using api = server({ allocation: { devices: { results: results("r0", "r1", "r0") } } });
    const claims = [
      {
        name: "c",
        resources: new Map([
          ["r0", "x/nic"],
          ["r1", "x/other"],
        ]),
      },
    ];
    expect(await claimedDevices(api.client(), { ...base, claims })).toEqual(
      new Map([
        ["x/nic", ["a"]],
        ["x/other", ["b"]],
      ]),
    );
    expect(api.asked.map(({ path }) => decodeURIComponent(path))).toEqual([
      "/apis/resource.k8s.io/v1/namespaces/default/resourceclaims/c",
      "/apis/resource.k8s.io/v1/resourceslices?limit=500&fieldSelector=spec.driver=d,spec.nodeName=node-1",
    ]);
  });

  test.each([
    ["a claim that is not allocated", {}],
    ["a claim without devices", { allocation: {} }],
    ["devices that say nothing of networks", { allocation: { devices: { results: results("r0") } } }],
  ])("are none for %s", async (_, status) => {
    using api = server(status);
    const claims = [{ name: "c", resources: new Map<string, string>() }];
    expect(await claimedDevices(api.client(), { ...base, claims })).toEqual(new Map());
  });
});
