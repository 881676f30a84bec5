import { expect, test } from "vitest";
import { parseIp } from "../ip/address.ts";
import { parseSelection } from "./selection.ts";

const accepted: [name: string, value: string, want: unknown][] = [
  ["nothing", "", []],
  ["white space", "  \n ", []],
  ["one name", "net-a", [{ namespace: "pod-ns", name: "net-a" }]],
  ["a namespace", "other/net-a", [{ namespace: "other", name: "net-a" }]],
  ["an interface", "net-a@ext0", [{ namespace: "pod-ns", name: "net-a", interface: "ext0" }]],
  [
    "several with spaces",
    " net-a , other/net-b@eth7 ",
    [
      { namespace: "pod-ns", name: "net-a" },
      { namespace: "other", name: "net-b", interface: "eth7" },
    ],
  ],
  [
    "the same twice",
    "net-a,net-a",
    [
      { namespace: "pod-ns", name: "net-a" },
      { namespace: "pod-ns", name: "net-a" },
    ],
  ],
  [
    "fifteen bytes of interface",
    "net-a@abcdefghijklmno",
    [{ namespace: "pod-ns", name: "net-a", interface: "abcdefghijklmno" }],
  ],
  ["an empty JSON list", "[]", []],
  ["JSON name with dots", '[{"name":"a.b"}]', [{ namespace: "pod-ns", name: "a.b" }]],
  ["JSON keys in any case", '[{"Name":"a","Interface":"x0"}]', [{ namespace: "pod-ns", name: "a", interface: "x0" }]],
  [
    "the old interfaceRequest",
    '[{"name":"a","interfaceRequest":"x0"}]',
    [{ namespace: "pod-ns", name: "a", interface: "x0" }],
  ],
  ["namespace/name inside JSON name", '[{"name":"ns/a"}]', [{ namespace: "ns", name: "a" }]],
  [
    "everything",
    `[{"name":"a","namespace":"n","ips":["10.0.0.1","fd00::1/64"],"mac":"02:00:00:00:00:01","infiniband-guid":"00:11:22:33:44:55:66:77",
      "bandwidth":{"ingressRate":1},"portMappings":[{"hostPort":80,"containerPort":8080}],"cni-args":{"x":1},"default-route":["10.0.0.9"],"deviceID":"0000:01:00.0"}]`,
    [
      {
        namespace: "n",
        name: "a",
        ips: ["10.0.0.1", "fd00::1/64"],
        mac: "02:00:00:00:00:01",
        infinibandGuid: "00:11:22:33:44:55:66:77",
        bandwidth: { ingressRate: 1, ingressBurst: 2_147_483_647, egressRate: 0, egressBurst: 0 },
        portMappings: [{ hostPort: 80, containerPort: 8080, protocol: "tcp" }],
        cniArgs: { x: 1 },
        defaultRoute: [parseIp("10.0.0.9")],
        deviceId: "0000:01:00.0",
      },
    ],
  ],
  [
    "both limits of bandwidth with their bursts",
    '[{"name":"a","bandwidth":{"ingressRate":1,"ingressBurst":2,"egressRate":3,"egressBurst":4}}]',
    [
      {
        namespace: "pod-ns",
        name: "a",
        bandwidth: { ingressRate: 1, ingressBurst: 2, egressRate: 3, egressBurst: 4 },
      },
    ],
  ],
  [
    "protocols in any letter case",
    '[{"name":"a","portMappings":[{"hostPort":1,"containerPort":65535,"protocol":"Sctp","hostIP":"10.0.0.1"}]}]',
    [
      {
        namespace: "pod-ns",
        name: "a",
        portMappings: [{ hostPort: 1, containerPort: 65_535, protocol: "sctp", hostIP: "10.0.0.1" }],
      },
    ],
  ],
  [
    "a claim beside addresses, as the newest client library and KubeVirt have it",
    '[{"name":"a","ipam-claim-reference":"vm.net-1","ips":["10.0.0.1/8"]},{"name":"b","ipam-claim-reference":""}]',
    [
      { namespace: "pod-ns", name: "a", ipamClaimReference: "vm.net-1", ips: ["10.0.0.1/8"] },
      { namespace: "pod-ns", name: "b" },
    ],
  ],
  [
    "an empty default-route",
    '[{"name":"a","default-route":[]}]',
    [{ namespace: "pod-ns", name: "a", defaultRoute: [] }],
  ],
];

test.each(accepted)("%s is read", (_name, value, want) => {
  expect(parseSelection(value, "pod-ns")).toEqual(want);
});

const refused: [name: string, value: string, want: string][] = [
  ["two slashes", "a/b/c", "failed at '/'"],
  ["two at signs", "a@b@c", "failed at '@'"],
  ["capital letters", "Net", "use the JSON form for names with dots"],
  ["a dot in the short form", "a.b", "use the JSON form for names with dots"],
  ["a trailing comma", "net-a,", "remove the extra comma"],
  ["sixteen bytes of interface", "a@abcdefghijklmnop", "1 to 15 bytes"],
  ["a bare JSON object", '{"name":"a"}', "expected an array such as"],
  ["JSON without a name", '[{"namespace":"a"}]', "$[0].name"],
  ["an empty JSON name", '[{"name":""}]', "expected the name of a NetworkAttachmentDefinition"],
  ["contradicting namespaces", '[{"name":"x/a","namespace":"y"}]', 'names namespace "x", but $[0].namespace is "y"'],
  ["an address that is none", '[{"name":"a","ips":["10.0.0"]}]', "$[0].ips[0]: expected an IP address or CIDR"],
  ["a MAC that is none", '[{"name":"a","mac":"zz"}]', "$[0].mac: expected a MAC address"],
  ["a MAC of eight bytes", '[{"name":"a","mac":"00:11:22:33:44:55:66:77"}]', "$[0].mac: expected a MAC address of six"],
  ["a GUID of six bytes", '[{"name":"a","infiniband-guid":"00:11:22:33:44:55"}]', "expected a GUID of eight bytes"],
  ["a claim by no name of Kubernetes", '[{"name":"a","ipam-claim-reference":"A/b"}]', "the name of an IPAMClaim"],
  ["no rate", '[{"name":"a","bandwidth":{}}]', "$[0].bandwidth: expected ingressRate or egressRate"],
  ["a burst without a rate", '[{"name":"a","bandwidth":{"egressRate":1,"ingressBurst":1}}]', "needs ingressRate"],
  [
    "another protocol",
    '[{"name":"a","portMappings":[{"hostPort":1,"containerPort":1,"protocol":"icmp"}]}]',
    "$[0].portMappings[0].protocol: expected TCP, UDP or SCTP",
  ],
  [
    "a mapping without container port",
    '[{"name":"a","portMappings":[{"hostPort":1}]}]',
    "$[0].portMappings[0].containerPort: expected this key",
  ],
  [
    "a port out of range",
    '[{"name":"a","portMappings":[{"hostPort":99999999,"containerPort":1}]}]',
    "$[0].portMappings[0].hostPort",
  ],
  ["a gateway that is none", '[{"name":"a","default-route":["x"]}]', "$[0].default-route[0]"],
  ["cut-off JSON", '[{"name":"a"', "line 1"],
];

test.each(refused)("%s is refused with a cure", (_name, value, want) => {
  expect(() => parseSelection(value, "pod-ns")).toThrow(want);
});

test("in an annotation of several lines the place is told", () => {
  const value = '[\n  {"name": "a"},\n  {"name": "b", "mac": "x"}\n]';
  expect(() => parseSelection(value, "pod-ns")).toThrow("$[1].mac (line 3, column 24): expected a MAC address of six");
});
