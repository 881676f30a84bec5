// What a dispatcher may be called with, made from what is right by changing a few things: types, names, cases, texts, bytes.
import * as fc from "fast-check";
import type { MultusSite, SitePod } from "../kit/multus-site.ts";

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** One call and the world that it meets. */
export interface FuzzCase {
  readonly command: string;
  readonly stdin: string;
  /** Laid over the right environment; undefined takes a variable away. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Annotations of the pod. */
  readonly networks: string;
  readonly defaultNetwork: string | undefined;
  /** spec.config of the definitions by name. */
  readonly definitions: Readonly<Record<string, string>>;
}

/** Values of these keys name places where a call running as root writes or looks around: only harmless ones are tried. */
const places = new Set(["cnidir", "confdir", "bindir", "manifests", "datadir", "logfile", "resolvconf", "kubeconfig"]);

const placeMember = new RegExp(`"(?:${[...places].join("|")})"\\s*:\\s*"([^"]+)"`, "gi");

/** True when every place that the text names lies where it may. */
function namesOnly(text: string, allowed: readonly string[]): boolean {
  return [...text.matchAll(placeMember)].every(([, path = ""]) => allowed.some((root) => path.startsWith(root)));
}

/** Arbitrary calls on `site`, about `pod`. */
export function fuzzCases(site: MultusSite, pod: SitePod): fc.Arbitrary<FuzzCase> {
  const paths = [
    "",
    site.path("none"),
    site.path("bin", ".keep"),
    "/dev/null/x",
    "/proc/nowhere",
    `${site.path("long")}/${"x".repeat(300)}`,
  ];
  const place = fc.constantFrom<Json>(...paths, 5, [], {}, false);
  const text = fc.oneof(
    fc.constantFrom(
      "",
      " ",
      ".",
      "..",
      "/",
      "a/b",
      "eth0",
      "lo",
      "net1",
      "0.0.0.0/0",
      "::/0",
      "10.2.0.300",
      "fe80::1",
      "-1",
    ),
    fc.constantFrom(
      "1.1.0",
      "0.1.0",
      "0.4.0",
      "9.9.9",
      "x".repeat(70),
      "ü\n\"'\\",
      "\u0000",
      "$(reboot)",
      "%s%n",
      "__proto__",
    ),
    fc.constantFrom(...types),
    fc.string({ unit: "binary", maxLength: 12 }),
  );
  const leaf: fc.Arbitrary<Json> = fc.oneof(
    text,
    fc.constantFrom<Json>(null, true, false, 0, -1, 1, 1.5, 4_294_967_296, 1e308, [], {}, [[]], [null], { "": 0 }),
    fc.integer(),
  );
  const nested: fc.Arbitrary<Json> = fc.oneof(
    leaf,
    fc.array(leaf, { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("type", "plugins", "name", "ipam", "args", "cni", "ips"), leaf, { maxKeys: 3 }),
  );
  const change: fc.Arbitrary<Change> = fc.record({
    at: fc.nat(),
    kind: fc.constantFrom("replace", "replace", "replace", "remove", "rename", "double", "bury"),
    value: nested,
    place,
  });
  const changed = (base: Json, most: number): fc.Arbitrary<Json> =>
    fc.array(change, { maxLength: most }).map((changes) => changes.reduce(applyChange, base));
  const spoilt = (json: fc.Arbitrary<Json>): fc.Arbitrary<string> =>
    fc.tuple(json, spoiling).map(([value, spoil]) => {
      const text = JSON.stringify(value);
      const spoilt = spoil(text);
      // One changed letter must not send a call that runs as root to another place of this machine.
      return namesOnly(spoilt, ["/dev/null/", "/proc/nowhere", `${site.folder.path}/`]) ? spoilt : text;
    });

  const definition = (base: Json) => spoilt(changed(base, 2));
  const bases = definitionsOf(site);
  return fc.record({
    command: fc.constantFrom("ADD", "ADD", "ADD", "ADD", "ADD", "DEL", "CHECK", "STATUS", "GC"),
    stdin: spoilt(
      fc.oneof(
        { weight: 2, arbitrary: fc.constant(site.conf(quiet) as Json) },
        { weight: 3, arbitrary: changed(site.conf(quiet) as Json, 3) },
      ),
    ),
    environment: environments(site, pod, text),
    networks: fc.oneof(
      fc.constantFrom(
        "one",
        "one,two",
        "one@lan0, default/two ,foreign",
        "[]",
        "",
        '[{"name":"one"},{"name":"noise"}]',
      ),
      spoilt(changed(selections, 3)),
      fc.string({ unit: fc.constantFrom(..."one,two/@ []{}\"':default".split("")), maxLength: 30 }),
    ),
    defaultNetwork: fc.option(fc.oneof(fc.constantFrom("default/one", "default/one@up0", "one"), text), {
      nil: undefined,
      freq: 12,
    }),
    definitions: fc.record({
      one: definition(bases["one"] ?? null),
      two: definition(bases["two"] ?? null),
      foreign: definition(bases["foreign"] ?? null),
      noise: fc.constant(JSON.stringify(bases["noise"])),
    }),
  });
}

const quiet = { logToStderr: false, logLevel: "panic" };
const types = [
  "macvlan",
  "bridge",
  "loopback",
  "host-local",
  "static",
  "passthru",
  "multus",
  "says-yes",
  "says-no",
  "dies",
  "nowhere",
];

/** Plugins for `foreign` and `noise`, and for a `type` that happens to name one. What can't be deleted would have to stay, so DEL works. */
export function writePlugins(site: MultusSite): void {
  const exceptDel = '[ "$CNI_COMMAND" = DEL ] && exit 0';
  site.script("says-yes", `echo '{"cniVersion":"1.0.0","interfaces":[{"name":"x","sandbox":"/y"}],"ips":[]}'`);
  site.script("says-no", exceptDel, `printf %s '{"code":70,"msg":"no\\nno"}'`, "exit 1");
  site.script("dies", exceptDel, "kill -SEGV $$");
  site.script("noise", `head -c 5000 /dev/urandom`);
}

function definitionsOf(site: MultusSite): Record<string, Json> {
  return {
    one: site.macvlan("one", "10.2.0.0/16", { capabilities: { mac: true, ips: true } }) as Json,
    two: {
      cniVersion: "0.4.0",
      name: "two",
      disableCheck: false,
      plugins: [
        {
          type: "macvlan",
          master: "eth0",
          mode: "bridge",
          mtu: 1400,
          ipam: {
            type: "static",
            addresses: [{ address: "10.3.0.2/24", gateway: "10.3.0.1" }],
            routes: [{ dst: "10.9.0.0/16" }],
            dns: { nameservers: ["10.3.0.1"] },
          },
        },
        { type: "says-yes", capabilities: { portMappings: true }, args: { cni: { a: 1 } } },
      ],
    },
    foreign: {
      cniVersion: "1.0.0",
      type: "says-yes",
      ipam: { type: "host-local", ranges: [[{ subnet: "10.4.0.0/24" }]], dataDir: site.path("leases") },
    },
    noise: { cniVersion: "1.0.0", type: "noise" },
  };
}

const selections: Json = [
  { name: "one", interface: "lan0", ips: ["10.2.0.77/16"], mac: "02:00:00:00:00:77", "default-route": ["10.2.0.1"] },
  {
    name: "two",
    namespace: "default",
    "cni-args": { x: { y: 1 } },
    portMappings: [{ hostPort: 80, containerPort: 80, protocol: "tcp" }],
    bandwidth: { ingressRate: 1, ingressBurst: 2, egressRate: 3, egressBurst: 4 },
    "infiniband-guid": "00:11:22:33:44:55:66:77",
  },
];

/** Mostly nothing; else cut, doubled, commented, one character changed, no JSON at all. */
const spoiling: fc.Arbitrary<(text: string) => string> = fc.oneof(
  { weight: 12, arbitrary: fc.constant((text: string) => text) },
  { weight: 1, arbitrary: fc.nat().map((at) => (text: string) => text.slice(0, at % (text.length + 1))) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(), fc.string({ unit: "binary", maxLength: 2 })).map(([at, put]) => (text: string) => {
      const index = at % (text.length + 1);
      return text.slice(0, index) + put + text.slice(index + 1);
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      (text: string) => `# comment\n${text} // end`,
      (text: string) => `\uFEFF${text}`,
      (text: string) => text + text,
      () => "",
      () => "null",
      () => "[".repeat(600),
    ),
  },
);

function environments(
  site: MultusSite,
  pod: SitePod,
  text: fc.Arbitrary<string>,
): fc.Arbitrary<Record<string, string | undefined>> {
  const right = fc.constant({});
  const one = (name: string, value: fc.Arbitrary<string | undefined>) => value.map((given) => ({ [name]: given }));
  // A real process can't be given a variable with a NUL in it.
  const value = text.map((each) => each.replaceAll("\u0000", ""));
  const args = fc.constantFrom(
    "K8S_POD_NAMESPACE=default",
    "=",
    ";;",
    "IgnoreUnknown=1;IP=10.2.0.9;MAC=x",
    `K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod.name};K8S_POD_UID=other`,
  );
  return fc.oneof(
    { weight: 10, arbitrary: right },
    {
      weight: 1,
      arbitrary: one(
        "CNI_CONTAINERID",
        fc.oneof(value, fc.constantFrom(undefined, "../x", ".hidden", "x".repeat(200))),
      ),
    },
    {
      weight: 1,
      arbitrary: one("CNI_IFNAME", fc.oneof(value, fc.constantFrom(undefined, "net1", "lo", "a".repeat(16)))),
    },
    {
      weight: 1,
      arbitrary: one(
        "CNI_NETNS",
        fc.constantFrom(undefined, "", "/nowhere", site.path("bin", ".keep"), site.node.path, "/proc/self/ns/mnt"),
      ),
    },
    { weight: 1, arbitrary: one("CNI_ARGS", fc.oneof(value, args, fc.constant(undefined))) },
    {
      weight: 1,
      arbitrary: one("CNI_PATH", fc.oneof(fc.constantFrom(undefined, "", ":::", "/dev/null", site.path("bin")))),
    },
    {
      weight: 1,
      arbitrary: one(
        "CNI_COMMAND",
        fc.oneof(
          value.filter((each) => each !== ""),
          fc.constantFrom("add", "VERSION", "GC"),
        ),
      ),
    },
  );
}

interface Change {
  readonly at: number;
  readonly kind: string;
  readonly value: Json;
  readonly place: Json;
}

interface Slot {
  readonly owner: Json[] | { [name: string]: Json };
  readonly key: string;
}

/** The document with one member, chosen by `at` among all of them, replaced, removed, renamed, doubled or buried. */
function applyChange(document: Json, { at, kind, value, place }: Change): Json {
  const copy = structuredClone(document);
  const slots = slotsOf(copy);
  const slot = slots[at % Math.max(1, slots.length)];
  if (slot === undefined) return value;
  const owner = slot.owner as { [name: string]: Json };
  const { key } = slot;
  const name = key.toLowerCase();
  // ADD would wait 45 s for a file that never comes.
  if (name === "readinessindicatorfile") return copy;
  const put = places.has(name) ? place : value;
  if (kind === "remove") delete owner[key];
  else if (kind === "rename" && !Array.isArray(slot.owner)) owner[key.toUpperCase()] = put;
  else if (kind === "double") owner[key] = places.has(name) ? put : [owner[key] ?? null, owner[key] ?? null];
  else if (kind === "bury" && !places.has(name))
    for (let depth = 0; depth < 40; depth++) owner[key] = [owner[key] ?? null];
  else owner[key] = put;
  return copy;
}

function slotsOf(value: Json): Slot[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => [{ owner: value, key }, ...slotsOf(member)]);
}
