import { expect, test } from "vitest";
import { parseArgs } from "../cni/args.ts";
import { capabilityArgs, delegateArgs } from "./runtime-config.ts";

const fromKubelet = {
  portMappings: [{ hostPort: 80, containerPort: 80 }],
  bandwidth: { ingressRate: 1 },
  ips: ["10.0.0.1"],
  cgroupPath: "/x",
};

test("the default network gets what the runtime sent", () => {
  expect(capabilityArgs(fromKubelet, undefined, true)).toEqual(fromKubelet);
});

test("BUG 2.5: kubelet's port mappings, bandwidth and addresses do not leak to another network", () => {
  expect(capabilityArgs(fromKubelet, { namespace: "n", name: "a" }, false)).toEqual({ cgroupPath: "/x" });
});

test("an element's own requests reach its network", () => {
  const element = {
    namespace: "n",
    name: "a",
    ips: ["10.9.0.1"],
    mac: "02:00:00:00:00:01",
    deviceId: "d",
    ipamClaimReference: "c",
  };
  expect(capabilityArgs(fromKubelet, element, false)).toEqual({
    cgroupPath: "/x",
    ips: ["10.9.0.1"],
    mac: "02:00:00:00:00:01",
    deviceID: "d",
    "ipam-claim-reference": "c",
  });
});

test("CNI_ARGS carry the pod's keys, the runtime's own once, and the element's MAC and IP", () => {
  const args = parseArgs(
    "IgnoreUnknown=1;K8S_POD_NAMESPACE=n;K8S_POD_NAME=p;K8S_POD_INFRA_CONTAINER_ID=c;K8S_POD_UID=u;FOO=bar;IP=9.9.9.9",
  );
  expect(
    delegateArgs(args, { namespace: "n", name: "a", ips: ["10.0.0.1", "fd00::1"], mac: "02:00:00:00:00:01" }),
  ).toBe(
    "IgnoreUnknown=true;K8S_POD_NAMESPACE=n;K8S_POD_NAME=p;K8S_POD_INFRA_CONTAINER_ID=c;K8S_POD_UID=u;FOO=bar;IP=10.0.0.1,fd00::1;MAC=02:00:00:00:00:01",
  );
});

test("a call for no pod still carries the keys, empty", () => {
  expect(delegateArgs(parseArgs(""), undefined)).toBe(
    "IgnoreUnknown=true;K8S_POD_NAMESPACE=;K8S_POD_NAME=;K8S_POD_INFRA_CONTAINER_ID=;K8S_POD_UID=",
  );
});
