// A trunk port of a switch, and one host in each of its VLANs.
import { runCommand } from "../kit/command.ts";
import { NodeNetns, PinnedNetns } from "../kit/node-netns.ts";

/** Host number 200 of 192.168.<VLAN>.0/24 lives in each VLAN; number 66 of every other VLAN's network answers nobody but its own VLAN. */
export class Trunk implements Disposable {
  readonly #switch = new NodeNetns();
  readonly #hosts = new Map<number, PinnedNetns>();

  /** `nics` are links that it makes in this process's network namespace: each is on a port with these VLANs. */
  constructor(nics: Readonly<Record<string, readonly number[]>>) {
    for (const [nic, vlans] of Object.entries(nics)) {
      runCommand(["ip", "link", "add", nic, "type", "veth", "peer", "name", nic, "netns", this.#switch.name]);
      runCommand(["ip", "link", "set", nic, "up"]);
      this.#switch.ip(`link set ${nic} up`);
      for (const vlan of vlans) this.#hosts.set(vlan, this.#host(nic, vlan));
    }
  }

  /** The host of a VLAN; throws when there is none. */
  host(vlan: number): PinnedNetns {
    const host = this.#hosts.get(vlan);
    if (host === undefined) throw new RangeError(`the trunk has no VLAN ${vlan}`);
    return host;
  }

  #host(nic: string, vlan: number): PinnedNetns {
    const host = this.#switch.pod();
    this.#switch.ip(`link add link ${nic} name eth0 netns ${host.name} type vlan id ${vlan}`);
    host.ip("link set lo up", "link set eth0 up", `addr add 192.168.${vlan}.200/24 dev eth0`);
    return host;
  }

  [Symbol.dispose](): void {
    this.#switch[Symbol.dispose]();
  }
}
