import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { runCommand } from "../kit/command.ts";
import { useLan } from "../kit/hooks.ts";
import { cnitool } from "./cnitool.ts";

const repository = join(import.meta.dirname, "..", "..");
const lan = useLan();

// What the pods were given is written beside their manifests.
afterAll(() => {
  rmSync(join(repository, "conf-examples", "pods", ".state"), { recursive: true, force: true });
});

test("cnitool attaches the NICs of an example pod through the network multi, and takes them back", async () => {
  const node = lan().node();
  node.ip("address add 192.168.50.1/24 dev eth0", "route add default via 192.168.50.254 dev eth0");
  const pod = node.pod();
  const call = {
    network: "multi",
    netns: pod.path,
    node,
    confDir: join(repository, "conf-examples", "net.d"),
    path: join(repository, "dist", "bin"),
    args: "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web",
  };
  const added = await cnitool({ ...call, verb: "add" });
  expect(added.result, added.stdout + added.stderr).toMatchObject({
    cniVersion: "1.0.0",
    interfaces: expect.any(Array),
  });
  const addresses = pod.run("ip", "-o", "address");
  for (const text of ["eth0", "10.244.9.", "net1", "10.60.0.", "storage0", "10.61.0.11/24", "fd00:61::11/64"])
    expect(addresses).toContain(text);
  expect(await cnitool({ ...call, verb: "check" })).toMatchObject({ exitCode: 0 });
  expect(await cnitool({ ...call, verb: "del" })).toMatchObject({ exitCode: 0 });
  expect(pod.run("ip", "-o", "link").trim().split("\n")).toHaveLength(1);
  expect(readdirSync("/var/lib/cni/results")).toEqual([]);
  // The next of README.md's commands, on the same node: networks of the examples don't get into each other's way.
  const polynic = (...args: string[]) =>
    runCommand([join(call.path, "polynic"), "play", ...args], { netns: node.path })
      .trim()
      .split("\n");
  expect(polynic("-f", join(repository, "conf-examples", "pods")).filter((line) => /^\w+\//.test(line))).toHaveLength(
    8,
  );
  expect(polynic("--down")).toHaveLength(9);
});
