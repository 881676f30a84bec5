import { describe, expect, test } from "vitest";
import { encodeList } from "./fake-kubelet.test-data.ts";
import { devicesOf } from "./pod-resources.ts";

const web = { namespace: "default", name: "web" };

/**
 * Marshalled by k8s.io/kubelet 0.37.2: pod default/web, whose container app has CPUs, memory, two devices of intel.com/sriov on NUMA node 1 and
 * the claim nic of driver nic.example.com with one CDI device and a share id, and an empty container; and a pod without containers.
 */
const fromGo = Uint8Array.fromHex(
  "0abf010a03776562120764656661756c741aa6010a0361707012330a0f696e74656c2e636f6d2f7372696f76120c303030303a30333a30322e33120c303030303a" +
    "30333a30322e311a040a0208011a040102ac02220f0a066d656d6f7279108080808080202a5312036e69631a0764656661756c7422430a1e0a1c6578616d706c65" +
    "2e636f6d2f6e69633d303030303a30343a30302e31120f6e69632e6578616d706c652e636f6d1a066e6f64652d31220476662d312a0273311a060a04736964650a" +
    "140a056f74686572120b6b7562652d73797374656d",
);

describe("a list of pods", () => {
  test("that Go has marshalled is read: devices in kubelet's order, claims by their name and their driver's", () => {
    expect([...(devicesOf(fromGo, web) ?? [])]).toEqual([
      ["intel.com/sriov", ["0000:03:02.3", "0000:03:02.1"]],
      ["nic", ["0000:04:00.1"]],
      ["nic.example.com", ["0000:04:00.1"]],
    ]);
  });

  test.each([
    ["a pod of the name in another namespace", { namespace: "kube-system", name: "web" }],
    ["a pod that is not there", { namespace: "default", name: "nobody" }],
  ])("does not know %s", (_, pod) => {
    expect(devicesOf(fromGo, pod)).toBeUndefined();
  });

  test("has no devices for a pod without containers", () => {
    expect(devicesOf(fromGo, { namespace: "kube-system", name: "other" })).toEqual(new Map());
  });

  test("gives the devices of all containers in their order, each once: init containers lend theirs", () => {
    const containers = [
      { devices: [["r", ["b"]]] as const },
      {
        devices: [
          ["r", ["b", "a"]],
          ["s", ["c"]],
        ] as const,
      },
    ];
    expect([...(devicesOf(encodeList([{ ...web, containers }]), web) ?? [])]).toEqual([
      ["r", ["b", "a"]],
      ["s", ["c"]],
    ]);
  });

  test("gives a claim that containers share once, and what has no '=' as it is", () => {
    const claims = [{ name: "nics", driver: "", cdiDevices: ["v/c=one", "two", "v/c=k=v"] }];
    expect([...(devicesOf(encodeList([{ ...web, containers: [{ claims }, { claims }] }]), web) ?? [])]).toEqual([
      ["nics", ["one", "two", "k=v"]],
    ]);
  });
});
