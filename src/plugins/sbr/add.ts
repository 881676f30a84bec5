import { CniError, code } from "../../cni/error.ts";
import type { AddCall } from "../../cni/plugin.ts";
import type { Result, ResultIp } from "../../cni/result.ts";
import { formatIp, type Ip } from "../../ip/address.ts";
import type { ErrnoName } from "../../libc/errno.ts";
import type { NetlinkRequest } from "../../netlink/message.ts";
import type { Netns } from "../../netns/netns.ts";
import { getLink, type Link } from "../../rtnl/link.ts";
import { appendRoute, deleteRoute, prependRoute, type RouteSpec } from "../../rtnl/route.ts";
import { addRule, deleteRule, type RuleSpec } from "../../rtnl/rule.ts";
import type { UndoScope } from "../../undo/undo.ts";
import { type Cures, explain, explained } from "../common/explain.ts";
import { openPod } from "../common/pod-netns.ts";
import { describePlan } from "../common/route-plan.ts";
import { addressesOf } from "./addresses.ts";
import type { SbrConfig } from "./config.ts";
import { gatewaysOf, type Plan, planTables, tellTables } from "./plan.ts";
import { ruleFor } from "./rules.ts";
import { claimTables, release, unclaim } from "./tables.ts";

/** One request of a batch, how its failure reads, and what of the kernel's refusals means that all is as wanted already. */
interface Step {
  readonly request: NetlinkRequest;
  readonly operation: () => string;
  readonly fine?: ErrnoName;
  readonly cures?: Cures;
}

/**
 * ADD: what is sent from an address of the interface goes by a table of its own, with the interface's routes; the result tells where those
 * have gone. With `table` the rules lead there, and the routes are the IPAM plugin's business. A failure puts everything back.
 */
export function add(call: AddCall<SbrConfig>): Result {
  const { conf, config, ifName, undo } = call;
  const { prevResult } = conf;
  if (prevResult === undefined) throw new CniError(code.invalidConfig, "This plugin must be called as chained plugin");
  const ips = addressesOf(prevResult, ifName);
  if (ips.length === 0) {
    throw new CniError(
      code.invalidConfig,
      `No IP addresses supplied on interface: ${ifName}`,
      "sbr stands behind a plugin whose IPAM plugin gives addresses",
    );
  }
  const pod = openPod(call.netns);
  const link = explained(`failed to look up "${ifName}"`, () => getLink(pod.rtnl, ifName));
  if (link === undefined) {
    throw new CniError(code.internal, `Cannot find network interface ${ifName}: Link not found in pod ${pod.path}`);
  }
  if (config.table !== undefined) {
    leadToTable(pod, link, ips, config, config.table, undo);
    return prevResult;
  }
  const { plan, tables } = moveRoutes(pod, link, ips, prevResult, config, undo);
  const contents = new Map(tables.map((table, at) => [table, plan.tables[at] ?? []]));
  return { ...prevResult, routes: tellTables(prevResult.routes, contents) };
}

function moveRoutes(
  pod: Netns,
  link: Link,
  ips: readonly ResultIp[],
  prevResult: Result,
  config: SbrConfig,
  undo: UndoScope,
): { readonly plan: Plan; readonly tables: readonly number[] } {
  const { tables, routes } = claimTables(pod, link, ips.length);
  undo.push(`claim on tables ${tables.join(", ")}`, () => release(pod, link, tables));
  const plan = planTables({ device: link, ips, told: prevResult.routes, routes }, config);
  const rules: RuleSpec[] = [];
  const specs: RouteSpec[] = [];
  for (const [at, table] of tables.entries()) {
    const ip = ips[at]?.address.ip;
    if (ip !== undefined) rules.push(ruleFor(ip, table));
    for (const spec of plan.tables[at] ?? []) specs.push({ ...spec, table });
  }
  const claims = unclaim(link, tables).map((request) => ({
    request,
    operation: () => `failed to end ${request.label}`,
  }));
  establish(pod, link, specs, rules, claims, undo);
  empty(pod, link, plan, undo);
  return { plan, tables };
}

/** `table`: rules, and a default route where the config names its gateway. */
function leadToTable(
  pod: Netns,
  link: Link,
  ips: readonly ResultIp[],
  { gateways }: SbrConfig,
  table: number,
  undo: UndoScope,
): void {
  const rules: RuleSpec[] = [];
  const families = new Set<4 | 6>();
  for (const { address } of ips) {
    rules.push(ruleFor(address.ip, table));
    families.add(address.ip.family);
  }
  const specs: RouteSpec[] = [];
  for (const family of families) {
    const gateway = gateways[family];
    if (gateway === undefined) continue;
    specs.push({ destination: { ip: { family, value: 0n }, bits: 0 }, gateway, device: link, table });
  }
  establish(pod, link, specs, rules, [], undo);
}

/** Routes first, so that no packet meets a table that is half filled. */
function establish(
  pod: Netns,
  link: Link,
  specs: readonly RouteSpec[],
  rules: readonly RuleSpec[],
  after: readonly Step[],
  undo: UndoScope,
): void {
  undo.push(`rules and routes of ${link.name}`, () => {
    pod.rtnl.batch([...rules.map(deleteRule), ...specs.map(deleteRoute)]);
  });
  run(pod, [...specs.map((spec) => routeStep(link, spec)), ...rules.map(ruleStep), ...after]);
}

/** Takes what has been copied from the main table: only now, since the kernel looks there for the way to a new route's gateway. */
function empty(pod: Netns, link: Link, { remove, hints }: Plan, undo: UndoScope): void {
  undo.push(`main table's routes of ${link.name}`, () => {
    // Those without a gateway first: the others need them.
    const back = [...remove].sort((a, b) => gatewaysOf(a).length - gatewaysOf(b).length);
    pod.rtnl.batch([...hints.map(deleteRoute), ...back.map(appendRoute)]);
  });
  run(pod, [
    ...remove.map((route): Step => {
      const operation = () => `Failed to delete route: ${describePlan(route, link.name)}`;
      return { request: deleteRoute(route), operation, fine: "ESRCH" };
    }),
    ...hints.map((spec): Step => {
      const operation = () => `failed to add route '${describePlan(spec, link.name)}'`;
      return { request: prependRoute(spec), operation, fine: "EEXIST" };
    }),
  ]);
}

function routeStep(link: Link, spec: RouteSpec): Step {
  const [gateway] = gatewaysOf(spec);
  const unreachable = gateway === undefined ? "" : unreachableGateway(link, gateway);
  return {
    // Behind those that the table has: the order of the main table is kept.
    request: appendRoute(spec),
    operation: () => `Failed to add default route to table: route '${describePlan(spec, link.name)}'`,
    fine: "EEXIST",
    cures: gateway === undefined ? {} : { ENETUNREACH: unreachable, EHOSTUNREACH: unreachable, EINVAL: unreachable },
  };
}

function unreachableGateway(link: Link, gateway: Ip): string {
  return `gateway ${formatIp(gateway)} is in no subnet of ${link.name}; correct it in the IPAM plugin's "gateway", or name another in sbr's "gateways"`;
}

function ruleStep(spec: RuleSpec): Step {
  return {
    request: addRule(spec),
    operation: () => "Failed to add rule",
    cures: { EOPNOTSUPP: "this kernel has no policy routing (CONFIG_IP_MULTIPLE_TABLES)" },
  };
}

function run(pod: Netns, steps: readonly Step[]): void {
  const errors = pod.rtnl.batch(steps.map(({ request }) => request));
  for (const [position, step] of steps.entries()) {
    const error = errors[position];
    if (error !== undefined && error.code !== step.fine) throw explain(step.operation(), error, step.cures);
  }
}
