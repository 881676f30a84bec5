// The agent of the DaemonSet as kubelet and containerd run it: a container with a node's / that is a folder of copies here.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CniCall, mustCallCni } from "../kit/cni-caller.ts";
import { runCommand } from "../kit/command.ts";
import { CopiedSystem, Occupant } from "../kit/copied-system.ts";
import { peerTools } from "../kit/peer-tools.ts";
import { useKubeNode } from "./use-node.ts";

const overlay = join(import.meta.dirname, "..", "..", "deploy", "overlays", "agent");
const podLogs = "/var/log/pods";
const node = useKubeNode();
let system: CopiedSystem | undefined;

beforeAll(async () => {
  const here = node();
  system = new CopiedSystem(here.cri.path("system"), ["bridge", "host-local"]);
  const manifest = runCommand([join(peerTools("kubernetes").bin, "kubectl"), "kustomize", overlay])
    .replace(/path: \/$/m, `path: ${system.root}`)
    .replace("- --root=/host", "- --root=/host\n        - --log-level=debug");
  expect(manifest).toContain(`path: ${system.root}`);
  await here.runDaemonSet(here.cri.write("agent.yaml", manifest), "polynic");
});

afterAll(async () => {
  await node().deletePod("polynic", "kube-system");
  system?.[Symbol.dispose]();
});

/** The lines of the container's log with these words. */
function logged(words: string): string[] {
  const pod = readdirSync(podLogs).find((name) => name.startsWith("kube-system_polynic_")) ?? "";
  const folder = join(podLogs, pod, "agent");
  const text = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
  return text
    .join("")
    .split("\n")
    .filter((line) => line.includes(words));
}

test("it starts, and does the calls of executables whose / is the node's", async () => {
  const here = node();
  const { status } = (await here.ready("polynic", "kube-system")) as unknown as { status: { qosClass: string } };
  expect(status.qosClass).toBe("Burstable");
  await here.until("a worker", () => logged("ready for calls").length > 1);
  await using occupant = await Occupant.enter();
  const ipam = { type: "host-local", subnet: "192.0.2.0/24", dataDir: "/leases" };
  const bridge = { type: "bridge", bridge: "br-agent", isGateway: true, ipMasq: true, ipMasqBackend: "nftables" };
  const call: CniCall = {
    executable: "/opt/cni/bin/bridge",
    wrapper: ["chroot", system?.root ?? ""],
    config: { cniVersion: "1.1.0", name: "agent", ...bridge, ipam },
    containerId: "0123456789ab",
    ifName: "net1",
    netns: occupant.netns,
    // Longer than any worker takes.
    env: { POLYNIC_AGENT: "/run/polynic/agent.sock,30000" },
  };
  const { result } = await mustCallCni({ ...call, command: "ADD" });
  const addresses = runCommand(["ip", "-4", "-o", "addr", "show", "dev", "net1"], { netns: occupant.netns });
  expect(addresses).toContain(" 192.0.2.");
  const config = { ...(call.config as object), prevResult: result };
  await mustCallCni({ ...call, command: "CHECK", config });
  await mustCallCni({ ...call, command: "DEL", config });
  await here.until("the worker's words", () => logged("did a call").length === 3);
  runCommand(["ip", "link", "del", "br-agent"]);
});
