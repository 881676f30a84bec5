import type { Dns } from "../../cni/result.ts";
import { presentDns } from "../../cni/result-decode.ts";

/**
 * The DNS settings of a resolv.conf(5) text. `nameserver`, `search` and `options` add up over their lines, of `domain` the last one
 * counts; comment lines (# or ;), other keywords and keywords without a value are passed over. Addresses are not checked.
 */
export function parseResolvConf(text: string): Dns {
  const nameservers: string[] = [];
  const search: string[] = [];
  const options: string[] = [];
  let domain = "";
  for (const line of text.split("\n")) {
    const [keyword = "", value, ...more] = line.trim().split(/\s+/);
    if (value === undefined || /^[#;]/.test(keyword)) continue;
    if (keyword === "nameserver") nameservers.push(value);
    else if (keyword === "domain") domain = value;
    else if (keyword === "search") search.push(value, ...more);
    else if (keyword === "options") options.push(value, ...more);
  }
  return presentDns({ nameservers, domain, search, options });
}
