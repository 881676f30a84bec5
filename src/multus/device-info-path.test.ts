import { expect, test } from "vitest";
import { deviceInfoPath, deviceInfoSource } from "./device-info-path.ts";

test("a device plugin's file is found by the resource and the device, slashes as dashes", () => {
  expect(deviceInfoSource("intel.com/sriov/x", "0000:03:02/1")).toBe(
    "/var/run/k8s.cni.cncf.io/devinfo/dp/intel.com-sriov-x-0000:03:02-1-device.json",
  );
});

test("an attachment's file can't leave its folder, whatever the network is called", () => {
  expect(deviceInfoPath("../../etc/x", "c1", "net1")).toBe("/var/run/k8s.cni.cncf.io/devinfo/cni/..-..-etc-x-c1_net1");
});
