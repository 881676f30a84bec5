// Many calls of sbr at once in one namespace: the kernel is what keeps them apart.
import { join } from "node:path";
import { expect, test } from "vitest";
import { callCni, type CniCall, mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { useLan } from "../kit/hooks.ts";

const lan = useLan();
const count = 12;

interface Rule {
  readonly src: string;
  readonly table: string;
}

test("each interface gets a table of its own, whatever the order, and loses that alone", async () => {
  const node = lan().node();
  for (let round = 0; round < 3; round++) {
    const pod = node.pod();
    const calls: CniCall[] = [];
    for (let index = 0; index < count; index++) {
      const address = { address: `192.0.2.${10 + index}/24`, gateway: `192.0.2.${100 + index}` };
      const ipam = { type: "static", addresses: [address] };
      const config = { cniVersion: "1.1.0", name: "lan", type: "macvlan", master: "eth0", ipam };
      const call = { containerId: "ctr0", netns: pod.path, ifName: `net${index}`, node };
      const executable = join(polynicBin, "macvlan");
      const { result } = await mustCallCni({ ...call, executable, command: "ADD", config });
      const sbr = { cniVersion: "1.1.0", name: "lan", type: "sbr", prevResult: result };
      calls.push({ ...call, executable: join(polynicBin, "sbr"), command: "ADD", config: sbr });
    }
    const outcomes = await Promise.all(calls.map(callCni));
    expect(outcomes.map(({ exitCode, stdout }) => (exitCode === 0 ? 0 : stdout))).toEqual(calls.map(() => 0));
    const rules = () =>
      (JSON.parse(pod.run("ip", "-j", "-4", "rule")) as Rule[]).filter(({ src }) => src.startsWith("192."));
    expect(new Set(rules().map(({ table }) => table)).size).toBe(count);
    for (const { src, table } of rules()) {
      const index = Number(src.split(".")[3]) - 10;
      const routes = pod.run("ip", "route", "show", "table", table).trim().split("\n");
      expect(routes.map((line) => line.trim())).toEqual([
        `default via 192.0.2.${100 + index} dev net${index}`,
        `192.0.2.0/24 dev net${index} proto kernel scope link src ${src}`,
      ]);
    }
    await Promise.all(calls.slice(1).map((call) => mustCallCni({ ...call, command: "DEL" })));
    expect(rules().map(({ src }) => src)).toEqual(["192.0.2.10"]);
    pod[Symbol.dispose]();
  }
});
