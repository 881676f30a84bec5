import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import type { JsonObject } from "../../src/json/value.ts";
import { type CniCall, mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { killAtEverySystemCall } from "../kit/fault.ts";
import type { PinnedNetns } from "../kit/node-netns.ts";
import { restoresEnded } from "../kit/restores.ts";
import { temporaryFolder } from "../kit/tmp.ts";
import { useLegacyIptables } from "./legacy-iptables.ts";
import { dual, GuestSite } from "./site.ts";
import type { GuestCases } from "./uml.ts";

/** Those that change the kernel's objects, and the files that outlive a call; here each kill costs a second. */
const systemCalls = ["sendto", "renameat", "linkat", "unlinkat"];
const network = "killed";
const portMappings = ["tcp", "udp"].map((protocol) => ({ hostPort: 8080, containerPort: 80, protocol }));
const portmap = { type: "portmap", backend: "iptables", capabilities: { portMappings: true } };

/** A node with a network of that chain; `polynic` leads it as cnitool does. */
class Round implements Disposable {
  readonly site = new GuestSite();
  readonly folder = temporaryFolder();
  readonly pod: PinnedNetns;
  readonly #before: unknown;
  #rulesBefore: readonly string[] = [];

  /** The chains that portmap shares among all pods stay: with it, a pod has come and gone before. */
  static async prepare({ first, hasPorts }: Chain): Promise<Round> {
    const round = new Round(first, hasPorts ? [portmap] : []);
    if (hasPorts) {
      await mustCallCni(round.call("add"));
      assert.match(round.#rules().join("\n"), /--dport 8080/);
      await mustCallCni(round.call("del"));
    }
    round.#rulesBefore = round.#rules();
    return round;
  }

  private constructor(first: JsonObject, last: readonly JsonObject[]) {
    const sysctl = { "net.ipv4.conf.IFNAME.arp_filter": "1", "net.ipv4.conf.all.arp_announce": "2" };
    const tuning = { type: "tuning", dataDir: `${this.folder.path}/tuning`, mtu: 1400, promisc: true, sysctl };
    const plugins = [{ ...first, master: "eth0", ...dual(5) }, { type: "sbr" }, tuning, ...last];
    this.folder.write("net.d/10-killed.conflist", { cniVersion: "1.1.0", name: network, plugins });
    this.pod = this.site.node().pod();
    this.pod.ip("link set lo up", "link add eth0 type dummy", "addr add 10.244.1.2/24 dev eth0", "link set eth0 up");
    this.pod.ip("route add default via 10.244.1.1");
    this.#before = this.site.state(this.pod);
  }

  call(verb: "add" | "del" | "gc", netns = this.pod.path): CniCall {
    // A DEL after a kill knows no mappings: there may be no result that has them.
    const capabilities = verb === "add" ? { CAP_ARGS: JSON.stringify({ portMappings }) } : {};
    const env = { NETCONFPATH: `${this.folder.path}/net.d`, ...capabilities };
    const executable = `${polynicBin}/polynic`;
    return { executable, argv: [verb, network, netns], ifName: "net1", node: this.site.node(), env };
  }

  /** Neither the kernel's objects nor files are other than in the beginning; what was being written goes when it is old. */
  expectNothing(place: string): void {
    const files = [`${this.folder.path}/tuning`, "/var/lib/cni/results"].flatMap((path) =>
      existsSync(path) ? readdirSync(path).filter((name) => !name.endsWith(".tmp")) : [],
    );
    assert.deepEqual(files, [], place);
    const isThere = this.pod.exists();
    const [node, pod] = this.#before as readonly unknown[];
    assert.deepEqual(this.site.state(...(isThere ? [this.pod] : [])), isThere ? [node, pod] : [node], place);
    assert.deepEqual(this.#rules(), this.#rulesBefore, place);
  }

  /** Chains and rules of the node that translate addresses, in both families, counters aside. */
  #rules(): string[] {
    const text = this.site.node().run("sh", "-c", "iptables-save -t nat; ip6tables-save -t nat");
    return text.split("\n").flatMap((line) => (line.startsWith("#") ? [] : [line.replace(/ \[\d+:\d+\]$/, "")]));
  }

  [Symbol.dispose](): void {
    this.site[Symbol.dispose]();
    this.folder[Symbol.dispose]();
  }
}

interface Chain {
  readonly name: string;
  readonly first: JsonObject;
  readonly hasPorts: boolean;
}

const chains: readonly Chain[] = [
  { name: "ipvlan, sbr, tuning and portmap", first: { type: "ipvlan" }, hasPorts: true },
  { name: "vlan, sbr and tuning", first: { type: "vlan", vlanId: 100 }, hasPorts: false },
];

const sweeps: GuestCases = Object.fromEntries(
  chains.flatMap((chain) => [
    [
      `${chain.name}: killed anywhere in ADD, a DEL leaves nothing`,
      async () => await sweep(chain, (round) => round.call("add")),
    ],
    [
      `${chain.name}: killed anywhere in DEL, the next DEL leaves nothing`,
      async () => await sweep(chain, async (round) => (await mustCallCni(round.call("add")), round.call("del"))),
    ],
    [
      `${chain.name}: a GC leaves nothing of a pod whose namespace was removed by hand`,
      async () => await collect(chain),
    ],
  ]),
);

export const cases: GuestCases = {
  "iptables is the one for x_tables, which is what this kernel has": useLegacyIptables,
  ...sweeps,
};

async function sweep(chain: Chain, start: (round: Round) => CniCall | Promise<CniCall>): Promise<void> {
  using round = await Round.prepare(chain);
  const killed = await killAtEverySystemCall(
    async (isSomethingLeft) => {
      if (isSomethingLeft) await mustCallCni(round.call("del"));
      return start(round);
    },
    async ({ systemCall, occurrence }) => {
      await restoresEnded(round.site.node());
      await mustCallCni(round.call("del"));
      round.expectNothing(`${systemCall} ${occurrence}`);
    },
    systemCalls,
  );
  assert.ok(killed > 5, `${killed} runs were killed`);
  await mustCallCni(round.call("del"));
  round.expectNothing("after all");
}

async function collect(chain: Chain): Promise<void> {
  using round = await Round.prepare(chain);
  await mustCallCni(round.call("add"));
  round.pod[Symbol.dispose]();
  await mustCallCni(round.call("gc", ""));
  round.expectNothing("after GC");
}
