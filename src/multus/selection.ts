import { type Ip, parseIp } from "../ip/address.ts";
import { parseMac } from "../ip/mac.ts";
import { parsePrefix } from "../ip/prefix.ts";
import { JsonError } from "../json/error.ts";
import { withPosition } from "../json/locate.ts";
import { anyObject, array, checked, decode, type Infer, integer, optional, struct, text } from "../json/struct.ts";
import { type JsonObject, parse } from "../json/value.ts";

/** The annotation that names a pod's networks (NPWG spec 1.3, section 4.1). */
export const networksAnnotation = "k8s.v1.cni.cncf.io/networks";
/** Multus' annotation that replaces the default network of one pod. */
export const defaultNetworkAnnotation = "v1.multus-cni.io/default-network";

export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  /** In lower case, as runtimes send it. */
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly hostIP?: string;
}

/** All four values in bits (per second), as the bandwidth capability carries them; 0 for a direction without a limit. */
export interface Bandwidth {
  readonly ingressRate: number;
  readonly ingressBurst: number;
  readonly egressRate: number;
  readonly egressBurst: number;
}

/** One entry of the annotation: a network and what is asked of the attachment to it. Absent fields were not asked for. */
export interface NetworkSelectionElement {
  readonly namespace: string;
  readonly name: string;
  readonly interface?: string;
  readonly ips?: readonly string[];
  readonly mac?: string;
  readonly infinibandGuid?: string;
  readonly bandwidth?: Bandwidth;
  readonly portMappings?: readonly PortMapping[];
  readonly cniArgs?: JsonObject;
  /** Gateways for the pod's default route; an empty list keeps the routes that the network's own config gives. */
  readonly defaultRoute?: readonly Ip[];
  readonly deviceId?: string;
  /** Name of the IPAMClaim, in the pod's namespace, that keeps the attachment's addresses. */
  readonly ipamClaimReference?: string;
}

/** An annotation that does not follow the grammar; the message quotes the part that is wrong and says what is allowed. */
export class SelectionError extends Error {
  override readonly name = "SelectionError";
}

const dns1123Label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const interfaceBytesMax = 15;

/**
 * Reads the value of a networks annotation into elements, in order. Empty text gives none. A value with any of `[`, `{` or `"` is
 * JSON and must be an array; everything else is the short form `[namespace/]name[@interface]`, comma separated. `namespace` is what
 * an unqualified name means. Throws `SelectionError`: an invalid annotation fails the pod (as Multus does, where the spec would
 * ignore it), since a pod that silently lacks its networks is worse.
 */
export function parseSelection(value: string, namespace: string): NetworkSelectionElement[] {
  if (value.trim() === "") return [];
  return /[[{"]/.test(value) ? parseJsonForm(value, namespace) : parseShortForm(value, namespace);
}

function parseShortForm(value: string, namespace: string): NetworkSelectionElement[] {
  const elements: NetworkSelectionElement[] = [];
  for (const part of value.split(",")) elements.push(parseShortItem(part.trim(), value, namespace));
  return elements;
}

function parseShortItem(item: string, whole: string, namespace: string): NetworkSelectionElement {
  if (item === "") throw new SelectionError(`empty network name in ${quote(whole)}: remove the extra comma`);
  const slashes = item.split("/");
  if (slashes.length > 2)
    throw new SelectionError(`invalid network ${quote(item)} (failed at '/'): expected [namespace/]name[@interface]`);
  const rest = slashes.at(-1) ?? "";
  const [name = "", ifName, ...more] = rest.split("@");
  if (more.length > 0)
    throw new SelectionError(`invalid network ${quote(item)} (failed at '@'): expected [namespace/]name[@interface]`);
  const wanted = slashes.length === 2 ? (slashes[0] ?? "").trim() : namespace;
  for (const [what, label] of [
    ["namespace", wanted],
    ["name", name.trim()],
  ] as const) {
    if (!dns1123Label.test(label)) {
      throw new SelectionError(
        `invalid network ${what} ${quote(label)} in ${quote(item)}: expected lower-case letters, digits and '-' (use the JSON form for names with dots)`,
      );
    }
  }
  const element = { namespace: wanted, name: name.trim() };
  return ifName === undefined ? element : { ...element, interface: checkInterface(ifName.trim(), item) };
}

function checkInterface(name: string, item: string): string {
  const bytes = new TextEncoder().encode(name).length;
  if (bytes > interfaceBytesMax || bytes === 0 || /[\s/:]/.test(name) || name === "." || name === "..") {
    throw new SelectionError(
      `invalid interface name ${quote(name)} in ${quote(item)}: expected 1 to ${interfaceBytesMax} bytes without '/', ':' or white space`,
    );
  }
  return name;
}

const ipOrPrefix = checked(
  (value: string) => ((parseIp(value) ?? parsePrefix(value)) ? value : undefined),
  "an IP address or CIDR",
);
const macBytes = 6;
const guidBytes = 8;
const mac = checked(
  (value) => (parseMac(value)?.length === macBytes ? value : undefined),
  "a MAC address of six bytes",
);
const guid = checked((value) => (parseMac(value)?.length === guidBytes ? value : undefined), "a GUID of eight bytes");

const rate = integer({ min: 0 });
const port = integer({ min: 1, max: 65_535 });
const protocols = ["tcp", "udp", "sctp"] as const;
const protocol = checked((value) => protocols.find((each) => each === value.toLowerCase()), "TCP, UDP or SCTP");
const hostIp = checked((value) => (value === "" || parseIp(value) ? value : undefined), "an IP address");

/** A DNS-1123 subdomain, as every object's name is; "" is no claim, for Go writes an absent one so. */
const claimName = checked(
  (value) => (value === "" || /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(value) ? value : undefined),
  "the name of an IPAMClaim",
);

/** Where a rate comes without a burst: the largest that a 32-bit count of bits has room for, as kubelet sends it for its own limits. */
const burstMaxBits = 2_147_483_647;

const elementSchema = struct({
  name: text(),
  namespace: optional(text()),
  interface: optional(text()),
  interfaceRequest: optional(text()),
  ips: optional(array(ipOrPrefix)),
  mac: optional(mac),
  "infiniband-guid": optional(guid),
  bandwidth: optional(
    struct({
      ingressRate: optional(rate, 0),
      ingressBurst: optional(rate, 0),
      egressRate: optional(rate, 0),
      egressBurst: optional(rate, 0),
    }),
  ),
  portMappings: optional(
    array(
      struct({
        hostPort: port,
        containerPort: port,
        protocol: optional(protocol, "tcp"),
        hostIP: optional(hostIp),
      }),
    ),
  ),
  "cni-args": optional(anyObject()),
  "default-route": optional(array(checked(parseIp, "an IP address"))),
  deviceID: optional(text()),
  "ipam-claim-reference": optional(claimName),
});

function parseJsonForm(value: string, namespace: string): NetworkSelectionElement[] {
  let elements;
  try {
    elements = decode(array(elementSchema), parse(value).value);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new SelectionError(
      `invalid JSON form: ${withPosition(error.message, value)}; expected an array such as [{"name": "net-a", "interface": "net1"}]`,
      { cause: error },
    );
  }
  const read: NetworkSelectionElement[] = [];
  for (const [index, element] of elements.entries()) read.push(toElement(element, index, namespace));
  return read;
}

type DecodedElement = Infer<typeof elementSchema>;

function toElement(json: DecodedElement, index: number, namespace: string): NetworkSelectionElement {
  const at = `$[${index}]`;
  const [name, qualifier] = splitName(json.name, json.namespace, at);
  const ifName = json.interface ?? json.interfaceRequest ?? "";
  return {
    namespace: qualifier ?? namespace,
    name,
    ...(ifName === "" ? {} : { interface: checkInterface(ifName, `${at}.interface`) }),
    ...given("ips", json.ips?.length === 0 ? undefined : json.ips),
    ...given("mac", json.mac),
    ...given("infinibandGuid", json["infiniband-guid"]),
    ...given("bandwidth", json.bandwidth && toBandwidth(json.bandwidth, `${at}.bandwidth`)),
    ...given("portMappings", json.portMappings),
    ...given("cniArgs", json["cni-args"]),
    ...given("defaultRoute", json["default-route"]),
    ...given("deviceId", json.deviceID),
    ...given("ipamClaimReference", json["ipam-claim-reference"] || undefined),
  };
}

/** A limit needs a rate (NPWG spec M13); a rate alone gets the burst that limits nothing. */
function toBandwidth({ ingressRate, ingressBurst, egressRate, egressBurst }: Bandwidth, at: string): Bandwidth {
  if (ingressRate === 0 && ingressBurst > 0) throw new SelectionError(`${at}.ingressBurst needs ingressRate beside it`);
  if (egressRate === 0 && egressBurst > 0) throw new SelectionError(`${at}.egressBurst needs egressRate beside it`);
  if (ingressRate === 0 && egressRate === 0)
    throw new SelectionError(`${at}: expected ingressRate or egressRate, in bits per second`);
  return {
    ingressRate,
    ingressBurst: ingressRate === 0 ? 0 : ingressBurst || burstMaxBits,
    egressRate,
    egressBurst: egressRate === 0 ? 0 : egressBurst || burstMaxBits,
  };
}

/** A name may be written "namespace/name" here too, as people do; an explicit namespace must then agree. */
function splitName(
  name: string,
  namespace: string | undefined,
  at: string,
): [name: string, namespace: string | undefined] {
  const parts = name.split("/");
  const [first = "", second] = parts;
  const explicit = namespace === "" ? undefined : namespace;
  if (name === "" || parts.length > 2 || parts.includes("")) {
    throw new SelectionError(`${at}.name: expected the name of a NetworkAttachmentDefinition, found ${quote(name)}`);
  }
  if (second === undefined) return [name, explicit];
  if (explicit !== undefined && explicit !== first) {
    throw new SelectionError(
      `${at}.name: ${quote(name)} names namespace ${quote(first)}, but ${at}.namespace is ${quote(explicit)}`,
    );
  }
  return [second, first];
}

function given<Key extends string, Value>(key: Key, value: Value | undefined): Partial<Record<Key, Value>> {
  return value === undefined ? {} : ({ [key]: value } as Record<Key, Value>);
}

function quote(value: string): string {
  return JSON.stringify(value);
}
