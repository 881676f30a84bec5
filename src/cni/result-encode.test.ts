import { expect, test } from "vitest";
import { printError, printResult } from "./print.ts";
import { CniError } from "./error.ts";
import { decodeResult } from "./result-decode.ts";
import { encodeResult } from "./result-encode.ts";
import { emptyResult, type Result } from "./result.ts";
import { type CniVersion, versions } from "./version.ts";

/** Says something under every key that a result has. */
const full = decodeResult(
  {
    cniVersion: "1.1.0",
    interfaces: [
      { name: "cni0", mac: "00:11:22:33:44:55", mtu: 1500 },
      {
        name: "net1",
        mac: "00:11:22:33:44:66",
        mtu: 9000,
        sandbox: "/run/netns/<c1>&",
        socketPath: "/s",
        pciID: "0:1f.6",
      },
    ],
    ips: [
      { address: "10.1.2.2/24", gateway: "10.1.2.1", interface: 1 },
      { address: "10.1.3.2/24" },
      { address: "fd00:1::2/64", gateway: "fd00:1::1", interface: 0 },
    ],
    routes: [
      { dst: "192.168.0.5/16", mtu: 1300, priority: 50, advmss: 1260, table: 0, scope: 253 },
      { dst: "0.0.0.0/0", gw: "10.1.2.1" },
      { dst: "::/0", gw: "fd00:1::1", priority: 0, mtu: 0, advmss: 0 },
    ],
    dns: { nameservers: ["10.1.2.53"], domain: "e.org", search: ["a.e.org", "b.e.org"], options: ["ndots:5"] },
  },
  "1.1.0",
);

const linkOnly: Result = { ...emptyResult, interfaces: [{ name: "net1", mac: "", sandbox: "", mtu: 0 }] };

// What libcni 1.3.0 prints for the same results, white space taken out.
const dns = `"dns":{"nameservers":["10.1.2.53"],"domain":"e.org","search":["a.e.org","b.e.org"],"options":["ndots:5"]}`;
const full02 = `"ip4":{"ip":"10.1.2.2/24","gateway":"10.1.2.1","routes":[{"dst":"192.168.0.5/16"},{"dst":"0.0.0.0/0","gw":"10.1.2.1"}]},"ip6":{"ip":"fd00:1::2/64","gateway":"fd00:1::1","routes":[{"dst":"::/0","gw":"fd00:1::1"}]},${dns}`;
const full04 = `"interfaces":[{"name":"cni0","mac":"00:11:22:33:44:55"},{"name":"net1","mac":"00:11:22:33:44:66","sandbox":"/run/netns/\\u003cc1\\u003e\\u0026"}],"ips":[{"version":"4","interface":1,"address":"10.1.2.2/24","gateway":"10.1.2.1"},{"version":"4","address":"10.1.3.2/24"},{"version":"6","interface":0,"address":"fd00:1::2/64","gateway":"fd00:1::1"}],"routes":[{"dst":"192.168.0.5/16","mtu":1300,"advmss":1260,"priority":50,"table":0,"scope":253},{"dst":"0.0.0.0/0","gw":"10.1.2.1"},{"dst":"::/0","gw":"fd00:1::1"}],${dns}`;
const full1 = `"dns":{"domain":"e.org","nameservers":["10.1.2.53"],"options":["ndots:5"],"search":["a.e.org","b.e.org"]},"interfaces":[{"mac":"00:11:22:33:44:55","mtu":1500,"name":"cni0"},{"mac":"00:11:22:33:44:66","mtu":9000,"name":"net1","pciID":"0:1f.6","sandbox":"/run/netns/\\u003cc1\\u003e\\u0026","socketPath":"/s"}],"ips":[{"address":"10.1.2.2/24","gateway":"10.1.2.1","interface":1},{"address":"10.1.3.2/24"},{"address":"fd00:1::2/64","gateway":"fd00:1::1","interface":0}],"routes":[{"advmss":1260,"dst":"192.168.0.5/16","mtu":1300,"priority":50,"scope":253,"table":0},{"dst":"0.0.0.0/0","gw":"10.1.2.1"},{"dst":"::/0","gw":"fd00:1::1"}]`;

const golden: readonly (readonly [name: string, result: Result, version: CniVersion, want: string])[] = [
  ["everything", full, "0.1.0", `{"cniVersion":"0.1.0",${full02}}`],
  ["everything", full, "0.2.0", `{"cniVersion":"0.2.0",${full02}}`],
  ["everything", full, "0.3.0", `{"cniVersion":"0.3.0",${full04}}`],
  ["everything", full, "0.3.1", `{"cniVersion":"0.3.1",${full04}}`],
  ["everything", full, "0.4.0", `{"cniVersion":"0.4.0",${full04}}`],
  ["everything", full, "1.0.0", `{"cniVersion":"1.0.0",${full1}}`],
  ["everything", full, "1.1.0", `{"cniVersion":"1.1.0",${full1}}`],
  ["a link without addresses", linkOnly, "0.3.1", `{"cniVersion":"0.3.1","interfaces":[{"name":"net1"}],"dns":{}}`],
  ["a link without addresses", linkOnly, "1.0.0", `{"cniVersion":"1.0.0","interfaces":[{"name":"net1"}]}`],
  ["nothing", emptyResult, "0.4.0", `{"cniVersion":"0.4.0","dns":{}}`],
  ["nothing", emptyResult, "1.1.0", `{"cniVersion":"1.1.0"}`],
];

test.each(golden)("%s prints with the keys and order of the Go library at version %3$s", (_, result, version, want) => {
  const printed = printResult(result, version);
  expect(printed.replaceAll(/\n */g, "").replaceAll('": ', '":')).toBe(want);
});

test("a result is indented by four spaces and has no newline at its end", () => {
  expect(printResult(linkOnly, "0.4.0")).toBe(
    `{\n    "cniVersion": "0.4.0",\n    "interfaces": [\n        {\n            "name": "net1"\n        }\n    ],\n    "dns": {}\n}`,
  );
});

test.each(["0.1.0", "0.2.0"] as const)("a result without any address can't be said in version %s", (version) => {
  expect(() => encodeResult(linkOnly, version)).toThrow(
    expect.objectContaining({ code: 1, message: "cannot convert: no valid IP addresses" }),
  );
});

test("the version of the result is the one asked for, for every version", () => {
  for (const version of versions) expect(encodeResult(full, version)["cniVersion"]).toBe(version);
});

const errors: readonly (readonly [name: string, error: CniError, want: string])[] = [
  ["without details", new CniError(7, "no name"), `{\n    "code": 7,\n    "msg": "no name"\n}`],
  [
    "with details",
    new CniError(1, "no", 'is "9"'),
    `{\n    "code": 1,\n    "msg": "no",\n    "details": "is \\"9\\""\n}`,
  ],
  ["of several lines", new CniError(999, "one\n  two\r\n"), `{\n    "code": 999,\n    "msg": "one; two"\n}`],
];

test.each(errors)("an error %s prints as upstream's does", (_, error, want) => {
  expect(printError(error)).toBe(want);
});
