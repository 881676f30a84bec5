import { argument, type CniArgs, refuseUnknownArgs } from "../../cni/args.ts";
import { CniError, code } from "../../cni/error.ts";
import type { NetConf } from "../../cni/net-conf.ts";
import type { Dns } from "../../cni/result.ts";
import type { Verb } from "../../cni/version.ts";
import { checked, flag, type Infer, integer, optional, struct, text } from "../../json/struct.ts";
import { dnsSchema } from "../common/dns.ts";
import { chooseMac } from "../common/mac.ts";
import { decodeConfig } from "../common/parse.ts";
import type { MasqueradeBackend } from "../filter/masquerade.ts";
import { collectTrunk, trunkSchema, vlanIdMax } from "./vlan-trunk.ts";

/** A bridge config as it is to be carried out; the defaults are upstream's. */
export interface BridgeConfig {
  /** Name of the bridge on the node, made when it is missing. */
  readonly bridge: string;
  /** The bridge, or with `vlan` a device beside it, has the gateway's addresses, and the node forwards. */
  readonly isGateway: boolean;
  /** The pod's default routes go over that gateway. Implies `isGateway`. */
  readonly isDefaultGateway: boolean;
  /** Addresses that are in the gateway's way are deleted. */
  readonly forceAddress: boolean;
  readonly ipMasq: boolean;
  /** `ipMasqBackend`; undefined leaves the choice to us. */
  readonly ipMasqBackend: MasqueradeBackend | undefined;
  /** 0 leaves it to the kernel. */
  readonly mtu: number;
  readonly hairpin: boolean;
  readonly promisc: boolean;
  /** The VLAN of the pod's untagged frames; 0 for none. */
  readonly vlan: number;
  /** The VLANs that the pod may tag its frames with, sorted. */
  readonly trunk: readonly number[];
  /** `vlan` or `vlanTrunk` is there, even an empty one: a bridge that is made now is to filter VLANs. */
  readonly filtersVlans: boolean;
  readonly preserveDefaultVlan: boolean;
  readonly macSpoofCheck: boolean;
  /** `enabledad`: probe for duplicates of IPv6 addresses and wait for the outcome. */
  readonly detectDuplicates: boolean;
  /** The pod's interface is made and left down. */
  readonly disableContainerInterface: boolean;
  readonly portIsolation: boolean;
  readonly mac: Uint8Array | undefined;
  readonly dns: Dns | undefined;
}

/** What a veth takes at most (ETH_MAX_MTU in include/uapi/linux/if_ether.h). */
const mtuMax = 65_535;
/** IFNAMSIZ without its terminating zero (include/uapi/linux/if.h). */
const nameBytesMax = 15;

const interfaceName = (name: string) => (/^(?!\.{1,2}$)[^\s/:%]{1,15}$/.test(name) ? name : undefined);
const backends = ["iptables", "nftables"] as const satisfies MasqueradeBackend[];

const schema = struct({
  bridge: optional(checked(interfaceName, `an interface name of at most ${nameBytesMax} characters`), "cni0"),
  isGateway: optional(flag(), false),
  isDefaultGateway: optional(flag(), false),
  forceAddress: optional(flag(), false),
  ipMasq: optional(flag(), false),
  ipMasqBackend: optional(text()),
  mtu: optional(integer({ min: 0, max: mtuMax }), 0),
  hairpinMode: optional(flag(), false),
  promiscMode: optional(flag(), false),
  vlan: optional(integer(), 0),
  vlanTrunk: trunkSchema(),
  preserveDefaultVlan: optional(flag(), false),
  macspoofchk: optional(flag(), false),
  enabledad: optional(flag(), false),
  disableContainerInterface: optional(flag(), false),
  portIsolation: optional(flag(), false),
  dns: dnsSchema(),
  args: optional(struct({ cni: optional(struct({ mac: optional(text()) })) })),
  runtimeConfig: optional(struct({ mac: optional(text()) })),
});

type Raw = Infer<typeof schema>;

/**
 * Reads a bridge config. The MAC is that of runtimeConfig, else of args.cni, else of CNI_ARGS. Throws `CniError` code 7 for what can't be,
 * 4 for CNI_ARGS with unknown keys; for DEL and GC only where the config does not say what there is to delete.
 */
export function parseConfig(conf: NetConf, args: CniArgs, verb: Verb): BridgeConfig {
  const raw = decodeConfig(schema, conf);
  const trunk = collectTrunk(raw.vlanTrunk);
  requireVlan(raw.vlan);
  const isCleanUp = verb === "DEL" || verb === "GC";
  if (!isCleanUp) {
    refuseUnknownArgs(args, ["MAC"]);
    refuseContradictions(raw, conf.ipamType);
  }
  return {
    bridge: raw.bridge,
    isGateway: raw.isGateway || raw.isDefaultGateway,
    isDefaultGateway: raw.isDefaultGateway,
    forceAddress: raw.forceAddress,
    ipMasq: raw.ipMasq,
    ipMasqBackend: backendOf(raw.ipMasqBackend),
    mtu: raw.mtu,
    hairpin: raw.hairpinMode,
    promisc: raw.promiscMode,
    vlan: raw.vlan,
    trunk,
    filtersVlans: raw.vlan !== 0 || raw.vlanTrunk !== undefined,
    preserveDefaultVlan: raw.preserveDefaultVlan,
    macSpoofCheck: raw.macspoofchk,
    detectDuplicates: raw.enabledad,
    disableContainerInterface: raw.disableContainerInterface,
    portIsolation: raw.portIsolation,
    mac: isCleanUp ? undefined : macOf(raw, args),
    dns: raw.dns,
  };
}

/** The device that carries the gateway's addresses of a VLAN: a port of the bridge would see no tags, the bridge itself all of them. */
export function vlanGatewayName({ bridge, vlan }: Pick<BridgeConfig, "bridge" | "vlan">): string {
  return `${bridge}.${vlan}`;
}

function macOf(raw: Raw, args: CniArgs): Uint8Array | undefined {
  return chooseMac([
    { where: "CNI_ARGS MAC", text: argument(args, "MAC") },
    { where: "$.args.cni.mac", text: raw.args?.cni?.mac },
    { where: "$.runtimeConfig.mac", text: raw.runtimeConfig?.mac },
  ]);
}

function requireVlan(vlan: number): void {
  if (vlan >= 0 && vlan <= vlanIdMax) return;
  throw refuse(`invalid VLAN ID ${vlan} (must be between 0 and ${vlanIdMax})`);
}

function refuseContradictions(raw: Raw, ipamType: string): void {
  if (ipamType !== "" && raw.disableContainerInterface) {
    throw refuse("cannot use IPAM when DisableContainerInterface flag is set");
  }
  if (raw.hairpinMode && raw.promiscMode) {
    throw refuse("cannot set hairpin mode and promiscuous mode at the same time");
  }
  const backend = raw.ipMasqBackend ?? "";
  if (raw.ipMasq && !["", ...backends].includes(backend)) {
    throw refuse(`unknown ipmasq backend ${JSON.stringify(backend)}; expected ${backends.join(" or ")}`);
  }
  const gateway = vlanGatewayName(raw);
  const hasGateway = raw.vlan !== 0 && (raw.isGateway || raw.isDefaultGateway) && ipamType !== "";
  if (hasGateway && gateway.length > nameBytesMax) {
    throw refuse(
      `the gateway of VLAN ${raw.vlan} would be interface ${gateway}, and ${nameBytesMax} characters is all that a name may have; shorten "bridge"`,
    );
  }
}

function refuse(message: string): CniError {
  return new CniError(code.invalidConfig, message);
}

function backendOf(name: string | undefined): MasqueradeBackend | undefined {
  for (const backend of backends) if (backend === name) return backend;
  return undefined;
}
