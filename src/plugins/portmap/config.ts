import type { CniArgs } from "../../cni/args.ts";
import { CniError, code } from "../../cni/error.ts";
import type { NetConf } from "../../cni/net-conf.ts";
import type { Verb } from "../../cni/version.ts";
import { type Ip, isUnspecified, parseIp } from "../../ip/address.ts";
import {
  array,
  checkedOrEmpty,
  flag,
  type Infer,
  integer,
  optional,
  stringList,
  struct,
  text,
} from "../../json/struct.ts";
import type { PortProtocol } from "../../nft/statement.ts";
import { decodeConfig } from "../common/parse.ts";

/** What makes the rules. */
export type Backend = "iptables" | "nftables";

/** A port of the node that leads to one of the pod (capability portMappings). */
export interface PortMapping {
  readonly protocol: PortProtocol;
  readonly hostPort: number;
  readonly containerPort: number;
  /** The node's address that is meant; undefined for all of them. */
  readonly hostIp: Ip | undefined;
  /** The IP version of `hostIP`, which may be 0.0.0.0 or ::; undefined for both. */
  readonly family: 4 | 6 | undefined;
}

/** A portmap config as it is to be carried out; the defaults are upstream's. */
export interface PortmapConfig {
  /** Undefined leaves it to us: iptables, unless it can't do it here and nftables can. */
  readonly backend: Backend | undefined;
  /** What `backend` had to be because only one of them knows an option; for messages. */
  readonly reason: string;
  /** Connections from the node itself (127.0.0.1) and from the pod's own subnet get the node's address. */
  readonly snat: boolean;
  /** With `snat`, those from everywhere do. */
  readonly masqAll: boolean;
  /** The bit of a packet's mark that says so. */
  readonly markBit: number;
  /** A chain of somebody else's that sets such a mark; iptables only. */
  readonly externalSetMarkChain: string | undefined;
  /** Further conditions of each mapping: words of iptables, or of nft. */
  readonly conditions: Readonly<Record<4 | 6, readonly string[]>>;
  readonly mappings: readonly PortMapping[];
}

/** Kubernetes uses 14 and 15, Calico 20 to 31. */
const defaultMarkBit = 13;
const markBitMax = 31;
const portMax = 65_535;
const protocols = ["tcp", "udp", "sctp"] as const satisfies PortProtocol[];

const schema = struct({
  backend: optional(text()),
  snat: optional(flag(), true),
  masqAll: optional(flag(), false),
  markMasqBit: optional(integer()),
  externalSetMarkChain: optional(text()),
  conditionsV4: optional(stringList(), []),
  conditionsV6: optional(stringList(), []),
  runtimeConfig: optional(
    struct({
      portMappings: optional(
        array(
          struct({
            hostPort: optional(integer(), 0),
            containerPort: optional(integer(), 0),
            protocol: optional(text(), ""),
            hostIP: optional(checkedOrEmpty(parseIp, "an IP address")),
          }),
        ),
        [],
      ),
    }),
  ),
});

type Raw = Infer<typeof schema>;
type RawMapping = NonNullable<Raw["runtimeConfig"]>["portMappings"][number];

/** Reads a portmap config. Throws `CniError` code 7, in upstream's words where upstream refuses the same. */
export function parseConfig(conf: NetConf, _args: CniArgs, verb: Verb): PortmapConfig {
  try {
    return readConfig(conf);
  } catch (error) {
    // As upstream's ADD and DEL say it.
    throw verb === "ADD" || verb === "DEL" ? CniError.from(error).within("failed to parse config: ") : error;
  }
}

function readConfig(conf: NetConf): PortmapConfig {
  const raw = decodeConfig(schema, conf);
  if (raw.markMasqBit !== undefined && raw.externalSetMarkChain !== undefined) {
    throw refuse("Cannot specify externalSetMarkChain and markMasqBit");
  }
  const markBit = raw.markMasqBit ?? defaultMarkBit;
  if (markBit < 0 || markBit > markBitMax) throw refuse(`MasqMarkBit must be between 0 and ${markBitMax}`);
  refuseBadWords(raw);
  const mappings: PortMapping[] = [];
  for (const mapping of raw.runtimeConfig?.portMappings ?? []) mappings.push(readMapping(mapping));
  return {
    ...chooseBackend(raw),
    snat: raw.snat,
    masqAll: raw.masqAll,
    markBit,
    externalSetMarkChain: raw.externalSetMarkChain,
    conditions: { 4: raw.conditionsV4, 6: raw.conditionsV6 },
    mappings,
  };
}

function readMapping({ hostPort, containerPort, protocol, hostIP }: RawMapping): PortMapping {
  for (const [name, port] of [
    ["container", containerPort],
    ["host", hostPort],
  ] as const) {
    if (port <= 0 || port > portMax) throw refuse(`Invalid ${name} port number: ${port}`);
  }
  const word = protocol.toLowerCase() || "tcp";
  const known = protocols.find((each) => each === word);
  if (known === undefined) {
    throw refuse(
      `Invalid protocol of host port ${hostPort}: ${JSON.stringify(protocol)}; expected ${protocols.join(", ")}`,
    );
  }
  const hostIp = hostIP === undefined || isUnspecified(hostIP) ? undefined : hostIP;
  return { protocol: known, hostPort, containerPort, hostIp, family: hostIP?.family };
}

/**
 * The back end that the config names, or the only one that knows its options. Unlike upstream, which wants `backend` to be written down in
 * the second case.
 */
function chooseBackend(raw: Raw): Pick<PortmapConfig, "backend" | "reason"> {
  const wants: Record<Backend, string[]> = { iptables: [], nftables: [] };
  if (raw.externalSetMarkChain !== undefined) wants.iptables.push("externalSetMarkChain");
  for (const name of ["conditionsV4", "conditionsV6"] as const) {
    const kind = kindOf(raw[name]);
    if (kind !== undefined) wants[kind].push(name);
  }
  const named = raw.backend;
  if (named !== undefined && named !== "iptables" && named !== "nftables") {
    throw refuse(`unrecognized backend ${JSON.stringify(named)}; expected iptables or nftables`);
  }
  const backend =
    named ?? (wants.iptables.length > 0 ? "iptables" : wants.nftables.length > 0 ? "nftables" : undefined);
  if (backend === undefined) return { backend, reason: "by default" };
  const other = backend === "iptables" ? "nftables" : "iptables";
  if (wants[other].length > 0) {
    throw refuse(
      `${backend} backend was requested but configuration contains ${other}-specific options [${wants[other].join(" ")}]`,
    );
  }
  return { backend, reason: named === undefined ? `for the sake of ${wants[backend].join(" and ")}` : "as configured" };
}

/** No word of nft begins with a hyphen or an exclamation mark, and every option of iptables does. */
function kindOf([first = ""]: readonly string[]): Backend | undefined {
  if (first === "") return undefined;
  return first.startsWith("-") || first.startsWith("!") ? "iptables" : "nftables";
}

/** A line break would begin another command of iptables-restore. */
function refuseBadWords(raw: Raw): void {
  for (const name of ["conditionsV4", "conditionsV6"] as const) {
    for (const word of raw[name]) {
      if (/[\0\r\n]/.test(word))
        throw refuse(`$.${name}: a condition may not contain line breaks: ${JSON.stringify(word)}`);
    }
  }
  const chain = raw.externalSetMarkChain;
  // XT_EXTENSION_MAXNAMELEN of include/uapi/linux/netfilter/x_tables.h counts the NUL.
  if (chain !== undefined && !/^[^\s"\\!-][^\s"\\]{0,27}$/.test(chain)) {
    throw refuse(
      `$.externalSetMarkChain: ${JSON.stringify(chain)} is not the name of a chain of at most 28 characters`,
    );
  }
}

function refuse(message: string): CniError {
  return new CniError(code.invalidConfig, message);
}
