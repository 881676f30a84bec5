// What the plugins behind an interface have made of it: the rules and tables of sbr, the sysctls of tuning.
import { formatPrefix } from "../../src/ip/prefix.ts";
import { Netns } from "../../src/netns/netns.ts";
import { readSysctl } from "../../src/netns/sysctl.ts";
import { RT_TABLE_DEFAULT, RT_TABLE_LOCAL, RT_TABLE_MAIN } from "../../src/rtnl/constants.ts";
import { listLinks } from "../../src/rtnl/link.ts";
import { describeRoute, listRoutes } from "../../src/rtnl/route.ts";
import { listRules } from "../../src/rtnl/rule.ts";

/** A pod's routing by source, in lines such as "from 10.63.0.2/32 lookup 100" and "route default (IPv4) via 10.63.0.1 dev net1 table 100". */
export interface SourceRouting {
  readonly rules: readonly string[];
  readonly routes: readonly string[];
}

const tablesOfTheKernel: readonly (number | undefined)[] = [RT_TABLE_LOCAL, RT_TABLE_MAIN, RT_TABLE_DEFAULT];

/** IPv4 rules of the namespace that the kernel does not have by itself, and the routes of the tables they lead to. */
export function sourceRouting(path: string): SourceRouting {
  using netns = Netns.open(path);
  const rules = listRules(netns.rtnl, 4).filter(({ table }) => !tablesOfTheKernel.includes(table));
  const links = listLinks(netns.rtnl);
  const routes = listRoutes(netns.rtnl, { family: 4 }).filter(({ table }) =>
    rules.some((rule) => rule.table === table),
  );
  return {
    rules: rules.map(
      ({ source, table }) => `from ${source === undefined ? "all" : formatPrefix(source)} lookup ${table}`,
    ),
    routes: routes.map((route) =>
      describeRoute({ ...route, device: links.find(({ index }) => index === route.device) }),
    ),
  };
}

/** Values of the namespace's sysctls, in the order of `keys` (with slashes): "net/core/somaxconn = 8192". */
export function sysctlsOf(path: string, keys: readonly string[]): string[] {
  using netns = Netns.open(path);
  return keys.map((key) => `${key} = ${readSysctl(netns, key)}`);
}
