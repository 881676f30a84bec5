import { expect, test } from "vitest";
import { settledFiles } from "./settled-del.ts";

const now = Date.parse("2026-11-21T12:30:00Z");
const hour = Math.floor(now / 3_600_000);
const environment = { CNI_CONTAINERID: "c1", CNI_IFNAME: "eth0", CNI_PATH: "/opt/cni/bin" };
const config = { cniVersion: "1.0.0", name: "multi", type: "multus", cniDir: "/state" };

const answered = [
  { name: "an ordinary call", want: "/state" },
  { name: "a config without cniDir", over: { cniDir: undefined }, want: "/var/lib/cni/multus" },
  { name: "a config with an empty cniDir", over: { cniDir: "" }, want: "/var/lib/cni/multus" },
  { name: "a config with a cniDir of null", over: { cniDir: null }, want: "/var/lib/cni/multus" },
] as const;

test.each(answered)("the mark of this hour, and no journal and no lock, answer $name", ({ want, ...rest }) => {
  const over = "over" in rest ? rest.over : {};
  expect(settledFiles(JSON.stringify({ ...config, ...over }), environment, now)).toEqual({
    mark: `${want}/.settled/${hour}/c1`,
    absent: [`${want}/c1`, `${want}/locks/c1`],
  });
});

const text = JSON.stringify(config);
const leftToTheCall = [
  { name: "no JSON", text: `${text} # comment` },
  { name: "an array", text: "[]" },
  { name: "null", text: "null" },
  { name: "a member name with an escape", text: text.replace("cniDir", String.raw`cniD\u0069r`) },
  { name: "cniDir in other letters", text: text.replace("cniDir", "CNIDir") },
  { name: "cniDir a second time in other letters", text: text.replace("{", '{"cnidir":"/other",') },
  { name: "a cniDir that is no string", text: JSON.stringify({ ...config, cniDir: 5 }) },
  { name: "no name", text: JSON.stringify({ ...config, name: undefined }) },
  { name: "a name that is not allowed", text: JSON.stringify({ ...config, name: "a/b" }) },
  { name: "no version", text: JSON.stringify({ ...config, cniVersion: undefined }) },
  { name: "a version that nobody speaks", text: JSON.stringify({ ...config, cniVersion: "9.9.9" }) },
  { name: "no container id", environment: { CNI_CONTAINERID: undefined } },
  { name: "a container id that leads elsewhere", environment: { CNI_CONTAINERID: "../x" } },
  { name: "no interface name", environment: { CNI_IFNAME: "" } },
  { name: "an interface name that is too long", environment: { CNI_IFNAME: "a".repeat(16) } },
  { name: "an interface name with a slash", environment: { CNI_IFNAME: "a/b" } },
  { name: "no path of plugins", environment: { CNI_PATH: "" } },
];

test.each(leftToTheCall)("$name is left to the call itself", (given) => {
  expect(settledFiles(given.text ?? text, { ...environment, ...given.environment }, now)).toBeUndefined();
});
