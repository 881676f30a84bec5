import { expect, test } from "vitest";
import type { Dns } from "../../cni/result.ts";
import { parseResolvConf } from "./resolv-conf.ts";

test.each<[string, string, Dns]>([
  ["nothing", "", {}],
  ["one server", "nameserver 192.0.2.0\n", { nameservers: ["192.0.2.0"] }],
  [
    "comments",
    "# nameserver 192.0.2.9\n;nameserver 192.0.2.8\n nameserver 192.0.2.1 # not me\n#\n;\n",
    { nameservers: ["192.0.2.1"] },
  ],
  [
    "all keywords",
    "nameserver 192.0.2.0\nnameserver 2001:db8::53\ndomain example.com\nsearch a.test b.test\nsearch c.test\noptions ndots:5 timeout:2\noptions rotate\n",
    {
      nameservers: ["192.0.2.0", "2001:db8::53"],
      domain: "example.com",
      search: ["a.test", "b.test", "c.test"],
      options: ["ndots:5", "timeout:2", "rotate"],
    },
  ],
  [
    "tabs, blanks and carriage returns",
    "\tnameserver\t192.0.2.0  \r\n\r\n  domain   x\r\n",
    { nameservers: ["192.0.2.0"], domain: "x" },
  ],
  ["the last domain counts", "domain a\ndomain b", { domain: "b" }],
  ["keywords without a value, and unknown ones", "nameserver\nsearch\nsortlist 10.0.0.0\nlookup file", {}],
])("resolv.conf with %s", (_, text, want) => {
  expect(parseResolvConf(text)).toEqual(want);
});
