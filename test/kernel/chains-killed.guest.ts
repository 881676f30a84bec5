import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import type { JsonObject } from "../../src/json/value.ts";
import { type CniCall, mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { killAtEverySystemCall } from "../kit/fault.ts";
import type { PinnedNetns } from "../kit/node-netns.ts";
import { temporaryFolder } from "../kit/tmp.ts";
import { dual, GuestSite } from "./site.ts";
import type { GuestCases } from "./uml.ts";

/** Those that change the kernel's objects, and the files that outlive a call; here each kill costs a second. */
const systemCalls = ["sendto", "renameat", "linkat", "unlinkat"];
const network = "killed";

/** A node with a network of that chain; `polynic` leads it as cnitool does. */
class Round implements Disposable {
  readonly site = new GuestSite();
  readonly folder = temporaryFolder();
  readonly pod: PinnedNetns;
  readonly #before: unknown;

  constructor(first: JsonObject) {
    const sysctl = { "net.ipv4.conf.IFNAME.arp_filter": "1", "net.ipv4.conf.all.arp_announce": "2" };
    const tuning = { type: "tuning", dataDir: `${this.folder.path}/tuning`, mtu: 1400, promisc: true, sysctl };
    const plugins = [{ ...first, master: "eth0", ...dual(5) }, { type: "sbr" }, tuning];
    this.folder.write("net.d/10-killed.conflist", { cniVersion: "1.1.0", name: network, plugins });
    this.pod = this.site.node().pod();
    this.pod.ip("link set lo up", "link add eth0 type dummy", "addr add 10.244.1.2/24 dev eth0", "link set eth0 up");
    this.pod.ip("route add default via 10.244.1.1");
    this.#before = this.site.state(this.pod);
  }

  call(verb: "add" | "del" | "gc", netns = this.pod.path): CniCall {
    const env = { NETCONFPATH: `${this.folder.path}/net.d` };
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
  }

  [Symbol.dispose](): void {
    this.site[Symbol.dispose]();
    this.folder[Symbol.dispose]();
  }
}

const firsts: readonly (JsonObject & { readonly type: string })[] = [{ type: "ipvlan" }, { type: "vlan", vlanId: 100 }];

export const cases: GuestCases = Object.fromEntries(
  firsts.flatMap((first) => [
    [
      `${first.type}, sbr and tuning: killed anywhere in ADD, a DEL leaves nothing`,
      () => sweep(first, (round) => round.call("add")),
    ],
    [
      `${first.type}, sbr and tuning: killed anywhere in DEL, the next DEL leaves nothing`,
      () => sweep(first, async (round) => (await mustCallCni(round.call("add")), round.call("del"))),
    ],
    [
      `${first.type}, sbr and tuning: a GC leaves nothing of a pod whose namespace was removed by hand`,
      () => collect(first),
    ],
  ]),
);

async function sweep(first: JsonObject, start: (round: Round) => CniCall | Promise<CniCall>): Promise<void> {
  using round = new Round(first);
  const killed = await killAtEverySystemCall(
    async () => (await mustCallCni(round.call("del")), start(round)),
    async ({ systemCall, occurrence }) => {
      await mustCallCni(round.call("del"));
      round.expectNothing(`${systemCall} ${occurrence}`);
    },
    systemCalls,
    true,
  );
  assert.ok(killed > 5, `${killed} runs were killed`);
  await mustCallCni(round.call("del"));
  round.expectNothing("after all");
}

async function collect(first: JsonObject): Promise<void> {
  using round = new Round(first);
  await mustCallCni(round.call("add"));
  round.pod[Symbol.dispose]();
  await mustCallCni(round.call("gc", ""));
  round.expectNothing("after GC");
}
