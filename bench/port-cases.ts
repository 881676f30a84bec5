import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Netns } from "../src/netns/netns.ts";
import { addAndDel, type Case, hostLocal, ourBin, type Side, withSides } from "./cases.ts";
import { type Exec, time } from "./pair.ts";

const backends = ["iptables", "nftables"] as const;
const network = "bench";

/** Mapped ports: behind a chain of all there is, as cnitool runs it, and by portmap alone. */
export function portCases(goBin: string): Case[] {
  return backends.flatMap((backend) => [chain(goBin, backend), alone(goBin, backend)]);
}

/**
 * A pod's second interface with a MAC, a sysctl, a table and four ports of its own: cnitool and the Go plugins beside `polynic add`, which asks
 * no agent: it is one process.
 */
function chain(goBin: string, backend: string): Case {
  const name = `macvlan + tuning + sbr + portmap by ${backend}, 4 ports`;
  return {
    name,
    run: async () =>
      (
        await withSides(
          (side) => {
            const ipam = {
              ...hostLocal("10.204.0.0/16"),
              dataDir: join(side.folder, "leases"),
              routes: [{ dst: "0.0.0.0/0" }],
            };
            const plugins = [
              { type: "macvlan", master: "eth0", ipam },
              { type: "tuning", sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" }, capabilities: { mac: true } },
              { type: "sbr" },
              { type: "portmap", backend, capabilities: { portMappings: true } },
            ];
            const folder = join(side.folder, "net.d");
            mkdirSync(folder);
            writeFileSync(
              join(folder, "bench.conflist"),
              JSON.stringify({ cniVersion: "1.0.0", name: network, plugins }),
            );
            return (run) => addAndDelList(side, goBin, folder, { mac: macOf(run), portMappings: ports(run, 4) });
          },
          ["theirs", "ours"],
        )
      ).map((row) => ({ ...row, what: `${name}: ${row.what}`, ...(row.what === "ADD" ? { target: 0.35 } : {}) })),
  };
}

/** ADD and DEL of portmap for an address that is there already. */
function alone(goBin: string, backend: string): Case {
  const name = `portmap by ${backend}, 10 ports`;
  return {
    name,
    run: async () =>
      (
        await withSides((side) => (run) => {
          const bin = side.isOurs ? ourBin : goBin;
          const stdin = JSON.stringify({
            cniVersion: "1.0.0",
            name: network,
            type: "portmap",
            backend,
            runtimeConfig: { portMappings: ports(run, 10) },
            prevResult: {
              cniVersion: "1.0.0",
              interfaces: [{ name: "eth0", sandbox: "/run/netns/of-the-pod" }],
              ips: [{ address: `10.205.0.${run + 2}/16`, interface: 0 }],
            },
          });
          return addAndDel(side, run, join(bin, "portmap"), { CNI_PATH: bin }, stdin);
        })
      ).map((row) => ({ ...row, what: `${name}: ${row.what}`, target: 0.2 })),
  };
}

/** Of each run its own, since the kernel takes a pod's namespace, and with it the address, apart some time behind. */
function macOf(run: number): string {
  return `02:00:00:00:00:${(run + 1).toString(16).padStart(2, "0")}`;
}

function ports(run: number, count: number): object[] {
  return Array.from({ length: count }, (_, index) => {
    const port = 20_000 + run * count + index;
    return { hostPort: port, containerPort: 80 + index, protocol: "tcp" };
  });
}

/** Wall milliseconds of ADD and of DEL of the list in `folder`, for a fresh pod on the side's node. */
function addAndDelList(side: Side, goBin: string, folder: string, capabilities: object): number[] {
  const pod = side.node.pod();
  using node = Netns.open(side.node.path);
  const bin = side.isOurs ? ourBin : goBin;
  const program = join(bin, side.isOurs ? "polynic" : "cnitool");
  const call = (verb: string): Exec => ({
    command: [program, verb, network, pod.path],
    stdin: "",
    environment: {
      CNI_PATH: bin,
      CNI_IFNAME: "net1",
      NETCONFPATH: folder,
      CAP_ARGS: JSON.stringify(capabilities),
    },
  });
  try {
    return node.enter(() => [time(call("add")), time(call("del"))]);
  } finally {
    pod[Symbol.dispose]();
  }
}
