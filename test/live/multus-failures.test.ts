// Whatever fails in an ADD, at whichever network: the pod is told why in one line, and everything is taken back.
import { rmSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { mustCallCni, callCni } from "../kit/cni-caller.ts";
import { errorOf, type Json, MultusSite, type SitePod, useSite } from "../kit/multus-site.ts";

const site = useSite();

/** Four networks in a pod: the default one and three definitions. `broken` stands at `position`. */
function podWith(position: number, broken: Json): { pod: SitePod; conf: Json; name: string; ifName: string } {
  const here = site();
  const sound = (index: number) => here.macvlan(`sound-${index}`, `10.${40 + index}.0.0/24`);
  for (const index of [1, 2, 3]) here.network(`n${index}`, index === position ? broken : sound(index));
  const conf = { delegates: [position === 0 ? broken : sound(0)] };
  const name = position === 0 ? String(broken["name"]) : `default/n${position}`;
  return { pod: here.pod("n1,n2,n3"), conf, name, ifName: position === 0 ? "eth0" : `net${position}` };
}

interface Failure {
  readonly name: string;
  readonly config: (here: MultusSite) => Json;
  readonly code: number;
  readonly cause: string;
  readonly prepare?: (here: MultusSite, pod: SitePod, ifName: string) => void;
}

const chain = (here: MultusSite, second: Json): Json => ({
  cniVersion: "1.0.0",
  name: "broken",
  plugins: [here.macvlan("", "10.50.0.0/24"), second],
});

const failures: readonly Failure[] = [
  {
    name: "a master that the node lacks",
    config: (here) => ({ ...here.macvlan("broken", "10.50.0.0/24"), master: "eth9" }),
    code: 7,
    cause: '"eth9"',
  },
  {
    name: "a range without a free address",
    config: (here) =>
      here.macvlan("broken", "", {
        ipam: { ranges: [[{ subnet: "10.50.1.0/30", rangeStart: "10.50.1.1", rangeEnd: "10.50.1.1" }]] },
      }),
    code: 50,
    cause: "no IP addresses available",
  },
  {
    name: "a plugin that is nowhere",
    config: (here) => chain(here, { type: "nowhere" }),
    code: 999,
    cause: 'failed to find plugin "nowhere"',
  },
  {
    name: "a second plugin that says no",
    config: (here) => {
      here.script(
        "says-no",
        '[ "$CNI_COMMAND" = ADD ] || exit 0',
        `echo '{"code": 123, "msg": "not today"}'`,
        "exit 1",
      );
      return chain(here, { type: "says-no" });
    },
    code: 123,
    cause: "not today",
  },
  {
    name: "a second plugin that prints nonsense",
    config: (here) => {
      here.script("babbles", "echo {{{");
      return chain(here, { type: "babbles" });
    },
    code: 6,
    cause: "printed no JSON on stdout",
  },
  {
    name: "a result that its version has no words for",
    config: () => ({ cniVersion: "0.2.0", name: "broken", type: "macvlan", master: "eth0" }),
    code: 1,
    cause: "cannot convert: no valid IP addresses",
  },
  {
    name: "an interface name that is taken",
    config: (here) => here.macvlan("broken", "10.50.0.0/24"),
    code: 999,
    cause: "already exists in",
    prepare: (_, pod, ifName) => pod.netns.ip(`link add ${ifName} type veth peer name other`),
  },
  {
    name: "a cached result that can't be written",
    config: (here) => here.macvlan("broken", "10.50.0.0/24"),
    code: 5,
    cause: "failed to set network",
    prepare: (here, pod, ifName) => here.folder.write(`cni/results/broken-${pod.containerId}-${ifName}/in-the-way`, ""),
  },
];

const cases = failures.flatMap((failure) => [0, 1, 2, 3].map((position) => [failure.name, position, failure] as const));

test.each(cases)("%s, at network %i: one line, one event, and nothing is left", async (_, position, failure) => {
  const here = site();
  const { pod, conf, name, ifName } = podWith(position, failure.config(here));
  failure.prepare?.(here, pod, ifName);
  const before = here.kernel(pod);
  const outcome = await here.call("ADD", pod, { conf });
  const { code, msg, details = "" } = errorOf(outcome);
  expect(code).toBe(failure.code);
  const where = `Multus: [default/${pod.name}/${pod.uid}]: error adding container to network "${name}" (interface ${ifName}`;
  expect(msg.startsWith(where)).toBe(true);
  expect(`${msg}; ${details}`.split(failure.cause)).toHaveLength(2);
  expect(msg).not.toContain("\n");
  expect(msg.match(/failed|error/g)?.length).toBeLessThanOrEqual(3);
  expect(here.events(pod)).toEqual([
    expect.stringMatching(/^Warning FailedToAttach error adding container to network "/) as unknown,
  ]);
  expect(here.events(pod)[0]).toContain(failure.cause);
  expect(here.status(pod)).toBeUndefined();
  rmSync(here.path(`cni/results/broken-${pod.containerId}-${ifName}`), { recursive: true, force: true });
  expect(here.remains(before, pod)).toEqual([]);
  expect(await here.call("DEL", pod, { conf })).toMatchObject({ exitCode: 0 });
});

describe("what fails before anything is attached", () => {
  test.each<[string, unknown, string, string]>([
    [
      "NoNetworkFound",
      "net-missing",
      "cannot find a network-attachment-definition (net-missing) in namespace (default): get network-attachment-definition",
      "did you mean net-mising?",
    ],
    [
      "InvalidNetworkSelection",
      "n1,",
      "annotation k8s.v1.cni.cncf.io/networks: empty network name",
      "remove the extra comma",
    ],
    [
      "InvalidNetworkSelection",
      [{ name: "net-mising", mac: "x" }],
      "annotation k8s.v1.cni.cncf.io/networks: ",
      "$[0].mac: expected a MAC address",
    ],
    [
      "InvalidNetworkSelection",
      "net-mising@x,net-mising@x",
      "networks default/net-mising and default/net-mising both want interface x",
      'another "interface"',
    ],
    [
      "InvalidNetworkSelection",
      [{ name: "net-mising", "default-route": ["10.0.0.1", "10.0.0.2"] }],
      "default-route names 2 IPv4 gateways",
      "does not support ECMP",
    ],
    [
      "InvalidNetwork",
      "no-json",
      "NetworkAttachmentDefinition default/no-json: failed to unmarshal Spec.Config: ",
      "line 1",
    ],
    [
      "InvalidNetwork",
      "no-object",
      "NetworkAttachmentDefinition default/no-object: spec.config: expected a JSON object",
      "",
    ],
    ["InvalidNetwork", "no-type", "NetworkAttachmentDefinition default/no-type: ", "$.plugins[0].type"],
    [
      "NoNetworkFound",
      "no-spec",
      "NetworkAttachmentDefinition default/no-spec has an empty spec",
      "no net configuration",
    ],
  ])("%s for %j", async (reason, networks, start, more) => {
    const here = site();
    here.network("net-mising", here.macvlan("m", "10.60.0.0/24"));
    here.network("no-json", "{");
    here.network("no-object", "[]");
    here.network("no-type", { plugins: [{}] });
    here.network("no-spec", "");
    const pod = here.pod(networks);
    const before = here.kernel(pod);
    const { code, msg, details = "" } = errorOf(await here.call("ADD", pod));
    expect(code).toBe(7);
    expect(msg).toContain(`Multus: [default/${pod.name}/${pod.uid}]: ${start}`);
    expect(`${msg}; ${details}`).toContain(more);
    expect(here.events(pod)).toEqual([expect.stringContaining(`Warning ${reason} ${start}`) as unknown]);
    expect(here.remains(before, pod)).toEqual([]);
  });

  test("a definition that can't be read now is worth another try: code 11", async () => {
    const here = site();
    here.folder.write("manifests/zz-torn.yaml", "kind: NetworkAttachmentDefinition\nmetadata: {name: torn\n  - [");
    const pod = here.pod("torn");
    const { code, msg } = errorOf(await here.call("ADD", pod));
    expect(code).toBe(11);
    expect(msg).toContain("cannot read a network-attachment-definition (torn) in namespace (default)");
    expect(here.events(pod)[0]).toMatch(/^Warning NetworkNotReadable cannot read/);
    rmSync(here.path("manifests/zz-torn.yaml"));
  });

  test("a config that does not fit: the place in the text that somebody has written, whoever finds it", async () => {
    const here = site();
    const config = (over: string) =>
      `{\n  "cniVersion": "1.0.0",\n  "type": "macvlan",\n  "master": "eth0", ${over}\n  "ipam": {"type": "static"}\n}`;
    here.network("mtu", config('"mtu": "big",'));
    here.network("able", config('"capabilities": {"ips": 1},'));
    here.network("on-disk", "");
    here.folder.write("net.d/10.conf", config('"name": "on-disk", "mtu": [],'));
    for (const [networks, place] of [
      ["mtu", "$.mtu (line 4, column 28): expected an integer"],
      [[{ name: "mtu", "cni-args": { x: "y" } }], "$.mtu (line 4, column 28): expected an integer"],
      ["able", ".capabilities.ips (line 4, column 45): expected true or false"],
      ["on-disk", "$.mtu (line 4, column 47): expected an integer"],
      ['[\n{"name": "mtu", "ips": ["x"]}]', "$[0].ips[0] (line 2, column 25): expected an IP address"],
    ] as const) {
      const pod = here.pod(networks);
      expect(errorOf(await here.call("ADD", pod)).msg).toContain(place);
    }
  });

  test("a namespace that is no namespace is said before anything is looked up, and the pod is told", async () => {
    const here = site();
    const pod = here.pod("nowhere");
    const { code, msg } = errorOf(await here.call("ADD", pod, { netns: here.path("manifests/.keep") }));
    expect(code).toBe(8);
    expect(msg).toContain("is not a network namespace");
    expect(here.events(pod)[0]).toMatch(/^Warning FailedToAttach failed to open netns/);
    expect(here.files("cni")).toEqual([]);
  });

  test("a manifests directory that is gone is worth another try: code 11, and it is named", async () => {
    const here = site();
    const pod = here.pod();
    const {
      code,
      msg,
      details = "",
    } = errorOf(await here.call("ADD", pod, { conf: { manifests: here.path("gone") } }));
    expect(code).toBe(11);
    expect(`${msg}; ${details}`).toContain('"manifests" must name a directory of Kubernetes YAML files');
    expect(msg).toContain(here.path("gone"));
  });

  test("a cniDir that can't be written is said with its cure", async () => {
    const here = site();
    const pod = here.pod();
    const before = here.kernel(pod);
    const { code, msg, details } = errorOf(
      await here.call("ADD", pod, { conf: { cniDir: here.path("manifests/.keep") } }),
    );
    expect(code).toBe(5);
    expect(msg).toContain("cniDir can't be used");
    expect(details).toContain("writable directory");
    expect(here.remains(before, pod)).toEqual([]);
  });
});

describe("what fails after everything is attached", () => {
  test("a status that can't be written: nothing is left (BUG 4.1: Multus leaves every interface)", async () => {
    const here = site();
    const { pod, conf } = podWith(9, {});
    const before = here.kernel(pod);
    rmSync(here.path("manifests/.state"), { recursive: true, force: true });
    here.folder.write("manifests/.state", "in the way");
    const { code, msg } = errorOf(await here.call("ADD", pod, { conf }));
    rmSync(here.path("manifests/.state"));
    expect(code).toBe(11);
    expect(msg).toContain("error setting the networks status: set network-status of pod");
    expect(here.remains(before, pod)).toEqual([]);
  });

  test("a result that nobody takes: nothing is left", async () => {
    const here = site();
    const { pod, conf } = podWith(9, {});
    const before = here.kernel(pod);
    const call = here.cniCall("ADD", pod, { conf });
    const outcome = await callCni({ ...call, wrapper: ["sh", "-c", 'exec "$@" > /dev/full', "sh"] });
    expect(outcome).toMatchObject({ exitCode: 1, isTimedOut: false });
    expect(outcome.stderr).toContain("no space left on device");
    expect(here.remains(before, pod)).toEqual([]);
    expect(here.status(pod)).toBeUndefined();
  });
});

test("what can't be taken back stays in the journal, and DEL tries again", async () => {
  const here = site();
  const allowed = here.path("allowed");
  here.script("stubborn", `[ "$CNI_COMMAND" = DEL ] && [ ! -e ${allowed} ] && exit 1`, "echo '{}'");
  here.network("held", { ...chain(here, { type: "stubborn" }), name: "held" });
  here.network("bad", { ...here.macvlan("bad", "10.51.0.0/24"), master: "eth9" });
  const pod = here.pod("held,bad");
  const before = here.kernel(pod);
  const { msg } = errorOf(await here.call("ADD", pod));
  expect(msg).toContain("eth9");
  expect(here.journal(pod)).toHaveLength(3);
  expect(errorOf(await here.call("DEL", pod)).msg).toContain(
    'error deleting container from network "default/held" (interface net1)',
  );
  expect(here.journal(pod)).toHaveLength(3);
  here.folder.write("allowed", "");
  await mustCallCni(here.cniCall("DEL", pod));
  expect(here.remains(before, pod)).toEqual([]);
});

test("a chain that can't take itself back is tried again by DEL", async () => {
  const here = site();
  const allowed = here.path("allowed-2");
  here.script("half-done", `[ -e ${allowed} ] && { echo '{}'; exit 0; }`, "exit 1");
  here.network("half", { ...chain(here, { type: "half-done" }), name: "half" });
  const pod = here.pod("half");
  const before = here.kernel(pod);
  expect((await here.call("ADD", pod)).exitCode).toBe(1);
  expect(here.journal(pod)).toHaveLength(2);
  here.folder.write("allowed-2", "");
  await mustCallCni(here.cniCall("DEL", pod));
  expect(here.remains(before, pod)).toEqual([]);
});

describe("a second ADD of a container", () => {
  test("is refused while the first is in place, which stays whole (Multus tears it down)", async () => {
    const here = site();
    here.network("one", here.macvlan("one", "10.52.0.0/24"));
    const pod = here.pod("one");
    const before = here.kernel(pod);
    await mustCallCni(here.cniCall("ADD", pod));
    const state = [here.kernel(pod), here.files("cni"), here.leases(), here.journal(pod)];
    expect(errorOf(await here.call("ADD", pod)).msg).toContain("interface name eth0 already exists");
    expect([here.kernel(pod), here.files("cni"), here.leases(), here.journal(pod)]).toEqual(state);
    await mustCallCni(here.cniCall("DEL", pod));
    expect(here.remains(before, pod)).toEqual([]);
  });

  test("takes back first what is left of the first when its namespace was made anew", async () => {
    const here = site();
    here.network("one", here.macvlan("one", "10.52.0.0/24"));
    here.network("two", here.macvlan("two", "10.53.0.0/24"));
    const pod = here.pod("one");
    await mustCallCni(here.cniCall("ADD", pod));
    const again = { ...here.pod(), containerId: pod.containerId };
    here.annotate(again, "two");
    const before = here.kernel(again);
    await mustCallCni(here.cniCall("ADD", again));
    expect(here.leases().map((path) => path.split("/")[0])).toEqual(["default-net", "two"]);
    await mustCallCni(here.cniCall("DEL", again));
    pod.netns[Symbol.dispose]();
    expect(here.remains(before, again)).toEqual([]);
  });
});
