import { expect, test } from "vitest";
import type { Dns } from "../../cni/result.ts";
import { chooseDns } from "./dns.ts";

const ipam: Dns = { nameservers: ["192.0.2.53"], search: ["example.com"] };

test.each<[string, Dns | undefined, Dns]>([
  ["the IPAM plugin's when the config has none", undefined, ipam],
  ["the IPAM plugin's when the config's is empty", {}, ipam],
  ["the config's as a whole when it sets one member", { domain: "a.test" }, { domain: "a.test" }],
  ["the config's when it sets a member to nothing", { nameservers: [] }, { nameservers: [] }],
])("the DNS settings are %s", (_, config, want) => {
  expect(chooseDns(config, ipam)).toEqual(want);
});
