import { isDispatcherType } from "../cni/dispatcher-type.ts";
import { CniError, code } from "../cni/error.ts";
import { validateInterfaceName, validateNetworkName } from "../cni/names.ts";
import { asVersion, versions } from "../cni/version.ts";
import { formatIp } from "../ip/address.ts";
import type { NetworkList } from "../cni/network-list.ts";
import { type MissingCapability, missingCapabilities } from "./capabilities.ts";
import { DispatchError } from "./dispatch-error.ts";
import type { Attachment } from "./attachment.ts";

/** An attachment with its position among the pod's networks. */
export interface Placed {
  readonly position: number;
  readonly attachment: Attachment;
}

/** Why a plan can't be carried out, and which networks are at fault. */
export interface PlanProblem {
  /** Their positions; never empty. */
  readonly networks: readonly number[];
  readonly error: DispatchError;
}

/** What the pod should hear of although it gets its networks: the reason and the text of a Warning event. */
export interface PlanWarning {
  /** Position of the network that it is about. */
  readonly network: number;
  readonly reason: "MissingCapability";
  readonly message: string;
}

/** Everything that speaks against attaching these networks to one pod, in the order in which it is to be reported. */
export function planProblems(placed: readonly Placed[]): PlanProblem[] {
  const problems: PlanProblem[] = [];
  /** The networks with a say in the pod's default routes: in most pods none. */
  const routing: Placed[] = [];
  for (const each of placed) {
    const problem = unusable(each);
    if (problem !== undefined) problems.push(problem);
    if (each.attachment.defaultRoute !== undefined) routing.push(each);
  }
  if (hasEqualInterfaces(placed)) problems.push(...equalInterfaces(placed));
  if (routing.length > 0) problems.push(...severalGateways(routing), ...severalKeepers(routing));
  return problems;
}

/** A warning for each wish of the pod that no plugin of its network would hear of (NPWG spec M10 to M14). */
export function capabilityWarnings(placed: readonly Placed[]): PlanWarning[] {
  const warnings: PlanWarning[] = [];
  for (const { position, attachment } of placed) {
    for (const missing of missingCapabilities(attachment.list, attachment.element))
      warnings.push({
        network: position,
        reason: "MissingCapability",
        message: missingText(attachment, missing),
      });
  }
  return warnings;
}

function missingText({ name, ifName, list }: Attachment, { key, capability }: MissingCapability): string {
  const plugins = list.plugins.map(({ type }) => type).join("+");
  return (
    `network ${name} (interface ${ifName}): ${JSON.stringify(key)} of the pod's annotation reaches no plugin (${plugins}): ` +
    `declare "capabilities": {${JSON.stringify(capability)}: true} in the config of the plugin that honours it`
  );
}

/** What the chain would refuse is refused before anything is journaled. */
function unusable({ position, attachment }: Placed): PlanProblem | undefined {
  const { list, ifName, name, origin } = attachment;
  const networks = [position];
  try {
    validateNetworkName(list.name);
    validateInterfaceName(ifName);
  } catch (cause) {
    const message = `${origin === "" ? name : origin}: ${CniError.from(cause).text}`;
    return { networks, error: new DispatchError("InvalidNetwork", message, { cause }) };
  }
  if (asVersion(list.cniVersion) === undefined) {
    const error = new DispatchError("InvalidNetwork", `${origin}: incompatible CNI versions`, {
      code: code.incompatibleVersion,
      details: `cniVersion is ${JSON.stringify(list.cniVersion)}; known are ${versions.join(", ")}`,
    });
    return { networks, error };
  }
  // A dispatcher that adopted its own config as the default network would call itself for ever.
  if (!isDispatcher(list)) return undefined;
  const message = `network ${JSON.stringify(name)} (${origin}) is multus itself: name the network that pods should get instead`;
  return { networks, error: new DispatchError("InvalidNetwork", message) };
}

function isDispatcher({ plugins }: NetworkList): boolean {
  for (const { type } of plugins) if (isDispatcherType(type)) return true;
  return false;
}

function hasEqualInterfaces(placed: readonly Placed[]): boolean {
  const names = new Set<string>();
  for (const { attachment } of placed) names.add(attachment.ifName);
  return names.size < placed.length;
}

function equalInterfaces(placed: readonly Placed[]): PlanProblem[] {
  return [...Map.groupBy(placed, ({ attachment }) => attachment.ifName)]
    .filter(([, holders]) => holders.length > 1)
    .map(([ifName, holders]) => ({
      networks: positionsOf(holders),
      error: new DispatchError(
        "InvalidNetworkSelection",
        `networks ${namesOf(holders).join(" and ")} ${holders.length === 2 ? "both" : "all"} want interface ${ifName}`,
        {
          details: `networks without a name of their own are called net<position>; give one of them another "interface" in the pod's annotation`,
        },
      ),
    }));
}

function severalGateways(placed: readonly Placed[]): PlanProblem[] {
  return [4, 6].flatMap((family) => {
    const wanted = placed.flatMap(({ position, attachment: { name, defaultRoute } }) =>
      (defaultRoute ?? [])
        .filter((gateway) => gateway.family === family)
        .map((gateway) => ({ position, text: `${formatIp(gateway)} on ${name}` })),
    );
    if (wanted.length < 2) return [];
    const gateways = wanted.map(({ text }) => text).join(", ");
    const message = `default-route names ${wanted.length} IPv${family} gateways (${gateways}): multus does not support ECMP for default-route, name one`;
    return [{ networks: positionsOf(wanted), error: new DispatchError("InvalidNetworkSelection", message) }];
  });
}

/** An empty default-route keeps the network's own routes and drops the others': of two such networks neither could be obeyed. */
function severalKeepers(placed: readonly Placed[]): PlanProblem[] {
  const keepers = placed.filter(({ attachment }) => attachment.defaultRoute?.length === 0);
  if (keepers.length < 2) return [];
  const message = `default-route is [] for ${namesOf(keepers).join(" and ")}: only one network of a pod can keep its default route`;
  return [{ networks: positionsOf(keepers), error: new DispatchError("InvalidNetworkSelection", message) }];
}

function namesOf(placed: readonly Placed[]): string[] {
  return placed.map(({ attachment }) => attachment.name);
}

function positionsOf(placed: readonly Pick<Placed, "position">[]): number[] {
  return [...new Set(placed.map(({ position }) => position))];
}
