// Plugins that are not built in: executed as libcni does, wherever they stand in a pod's networks, with what is theirs and no more.
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { callCni, mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { errorOf, type MultusSite, type SitePod, useSite } from "../kit/multus-site.ts";

const site = useSite();

interface Heard {
  readonly environment: Readonly<Record<string, string>>;
  readonly config: Readonly<Record<string, unknown>>;
}

/** A plugin that writes down what it was called with, and answers with one interface, or with its prevResult where it has one. */
function recorder(here: MultusSite, name: string): void {
  here.script(
    name,
    "config=$(cat)",
    `{ env -0 | tr '\\n\\0' ' \\n'; echo; printf '%s\\n' "$config"; echo ---; } >> ${here.path(`${name}.log`)}`,
    `previous=$(printf '%s' "$config" | sed -n 's/.*"prevResult":\\({.*}\\)}$/\\1/p')`,
    `own='{"cniVersion":"1.0.0","interfaces":[{"name":"'$CNI_IFNAME'","mac":"02:00:00:00:00:01","sandbox":"'$CNI_NETNS'"}]}'`,
    `echo "\${previous:-$own}"`,
  );
}

function heard(here: MultusSite, name: string): Heard[] {
  return readFileSync(here.path(`${name}.log`), "utf8")
    .split("---\n")
    .filter((call) => call !== "")
    .map((call) => {
      const [variables = "", config = "{}"] = call.split("\n\n");
      const pairs = variables
        .split("\n")
        .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)] as const);
      return { environment: Object.fromEntries(pairs), config: JSON.parse(config) as Heard["config"] };
    });
}

test("a foreign plugin alone, first and last in a chain with ours, and as a pod's only network", async () => {
  const here = site();
  for (const name of ["alone", "first", "last"]) recorder(here, name);
  here.network("alone", { cniVersion: "1.0.0", type: "alone" });
  here.network("first", { cniVersion: "1.0.0", plugins: [{ type: "first" }, { type: "passthru" }] });
  here.network("last", { cniVersion: "1.0.0", plugins: [here.macvlan("", "10.2.0.0/24"), { type: "last" }] });
  const pod = here.pod("alone,first,last");
  const before = here.kernel(pod);
  await mustCallCni(here.cniCall("ADD", pod));
  expect(here.status(pod)?.map((element) => `${String(element["name"])} ${String(element["interface"])}`)).toEqual([
    "default-net eth0",
    "default/alone net1",
    "default/first net2",
    "default/last net3",
  ]);
  expect(here.status(pod)?.[3]).toMatchObject({ ips: ["10.2.0.2"] });
  expect(heard(here, "last")[0]?.config).toMatchObject({
    name: "last",
    cniVersion: "1.0.0",
    prevResult: { ips: [{ address: "10.2.0.2/24" }] },
  });
  expect(await here.call("CHECK", pod)).toMatchObject({ exitCode: 0 });
  await mustCallCni(here.cniCall("DEL", pod));
  for (const name of ["alone", "first", "last"])
    expect(heard(here, name).map(({ environment }) => environment["CNI_COMMAND"])).toEqual(["ADD", "CHECK", "DEL"]);
  expect(here.remains(before, pod)).toEqual([]);
});

test("it gets the environment of its call and nothing of ours", async () => {
  const here = site();
  recorder(here, "alone");
  here.network("alone", { cniVersion: "1.0.0", type: "alone" });
  const pod = here.pod([{ name: "alone", interface: "x0", ips: ["10.0.0.7"], mac: "02:00:00:00:00:07" }]);
  const call = here.cniCall("ADD", pod);
  const args = `${String(call.args)};VENDOR=1`;
  await mustCallCni({
    ...call,
    args,
    path: "/first:/second",
    env: { LD_PRELOAD_X: "1", SECRET_TOKEN: "2", NODE_OPTIONS: "3", HOME: "/h" },
  });
  const { environment } = heard(here, "alone")[0]!;
  expect(environment).toMatchObject({
    CNI_COMMAND: "ADD",
    CNI_CONTAINERID: pod.containerId,
    CNI_NETNS: pod.netns.path,
    CNI_IFNAME: "x0",
    CNI_PATH: `${here.path("bin")}:/first:/second`,
    CNI_ARGS: `IgnoreUnknown=true;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod.name};K8S_POD_INFRA_CONTAINER_ID=${pod.containerId};K8S_POD_UID=${pod.uid};VENDOR=1;MAC=02:00:00:00:00:07;IP=10.0.0.7`,
    HOME: "/h",
  });
  expect(Object.keys(environment)).not.toEqual(expect.arrayContaining(["SECRET_TOKEN"]));
  for (const name of ["SECRET_TOKEN", "NODE_OPTIONS", "LD_PRELOAD_X"]) expect(environment).not.toHaveProperty(name);
  await mustCallCni(here.cniCall("DEL", pod));
});

test("kubelet's port mappings, bandwidth and addresses reach the default network only (BUG 2.5: Multus hands them to all)", async () => {
  const here = site();
  const capabilities = { portMappings: true, bandwidth: true, ips: true, mac: true };
  for (const name of ["main", "second"]) recorder(here, name);
  here.network("second", { cniVersion: "1.0.0", type: "second", capabilities });
  const runtimeConfig = {
    portMappings: [{ hostPort: 80, containerPort: 80 }],
    bandwidth: { ingressRate: 8 },
    ips: ["10.0.0.1/24"],
    mac: "02:00:00:00:00:08",
  };
  const conf = { runtimeConfig, delegates: [{ cniVersion: "1.0.0", name: "main", type: "main", capabilities }] };
  const pod = here.pod([{ name: "second", mac: "02:00:00:00:00:09" }]);
  await mustCallCni(here.cniCall("ADD", pod, { conf }));
  expect(heard(here, "main")[0]?.config["runtimeConfig"]).toEqual(runtimeConfig);
  expect(heard(here, "second")[0]?.config["runtimeConfig"]).toEqual({ mac: "02:00:00:00:00:09" });
  await mustCallCni(here.cniCall("DEL", pod, { conf }));
});

test("one that hangs is ended with its children after delegateTimeout, and everything is taken back", async () => {
  const here = site();
  here.script("hangs", '[ "$CNI_COMMAND" = DEL ] && exit 0', `sleep 1000 & echo $! > ${here.path("child")}`, "wait");
  here.network("hangs", { cniVersion: "1.0.0", type: "hangs" });
  const pod = here.pod("hangs");
  const before = here.kernel(pod);
  const outcome = await here.call("ADD", pod, { conf: { delegateTimeout: 5 } });
  expect(errorOf(outcome).msg).toContain(
    'plugin type="hangs" name="hangs" failed (add): plugin hangs was killed with its process group: it ran for more than 5 s',
  );
  // The plugin itself was waited for; who is killed with it is gone a moment later.
  const child = Number(readFileSync(here.path("child"), "utf8"));
  await expect.poll(() => isAlive(child), { timeout: 60_000 }).toBe(false);
  expect(here.remains(before, pod)).toEqual([]);
});

test("execPlugins has the executable called although the plugin is built in", async () => {
  const here = site();
  recorder(here, "macvlan");
  const pod = here.pod();
  const before = here.kernel(pod);
  await mustCallCni(here.cniCall("ADD", pod, { conf: { execPlugins: ["macvlan"] } }));
  expect(heard(here, "macvlan")[0]?.config).toMatchObject({
    type: "macvlan",
    master: "eth0",
    ipam: { type: "host-local" },
  });
  expect(Object.keys(here.kernel(pod)[pod.name]!.links)).toEqual(["lo"]);
  await mustCallCni(here.cniCall("DEL", pod, { conf: { execPlugins: ["macvlan"] } }));
  expect(here.remains(before, pod)).toEqual([]);
});

test("our own executables may be called as foreign ones too, their IPAM with them", async () => {
  const here = site();
  const pod = here.pod();
  const before = here.kernel(pod);
  const conf = { execPlugins: ["macvlan", "host-local"], binDir: polynicBin };
  await mustCallCni(here.cniCall("ADD", pod, { conf }));
  expect(here.status(pod)).toMatchObject([{ name: "default-net", interface: "eth0", ips: ["10.1.0.2"] }]);
  expect(await here.call("CHECK", pod, { conf })).toMatchObject({ exitCode: 0 });
  await mustCallCni(here.cniCall("DEL", pod, { conf }));
  expect(here.remains(before, pod)).toEqual([]);
});

test("a network that leads back to the dispatcher is refused at once, by name", async () => {
  const here = site();
  here.script("loops", `exec ${polynicBin}/multus`);
  here.network("loops", { ...here.conf(), type: "loops" });
  const pod = here.pod("loops");
  const before = here.kernel(pod);
  const { code, msg, details } = errorOf(await here.call("ADD", pod));
  expect(code).toBe(7);
  expect(msg).toContain(`error adding container to network "default/loops" (interface net1): `);
  expect(msg).toContain(`multus was called again for container ${pod.containerId}`);
  expect(details).toContain("one of the pod's networks leads back to the dispatcher");
  expect(await here.call("DEL", pod)).toMatchObject({ exitCode: 0 });
  expect(here.remains(before, pod)).toEqual([]);
});

test.each([
  ["is not executable", "#!/bin/sh\n", 0o644, /permission denied; it needs to be executable \(chmod \+x\)/],
  ["lacks its interpreter", "#!/nowhere/sh\n", 0o755, /its interpreter|interpreter in its first line/],
  ["is no program", "\0\0\0\0", 0o755, /exec format error|no such file/],
])(
  "a plugin whose file %s has not run: the ADD is taken back whole, and DEL has nothing to do",
  async (_, text, mode, words) => {
    const here = site();
    chmodSync(here.folder.write("bin/frozen", text), mode);
    here.network("frozen", { cniVersion: "1.0.0", plugins: [here.macvlan("", "10.2.0.0/24"), { type: "frozen" }] });
    const pod = here.pod("frozen");
    const before = here.kernel(pod);
    const { msg } = errorOf(await here.call("ADD", pod));
    expect(msg).toMatch(words);
    expect(msg).toContain(here.path("bin/frozen"));
    expect(here.remains(before, pod)).toEqual([]);
    expect(await here.call("DEL", pod)).toMatchObject({ exitCode: 0, stderr: "" });
  },
);

describe("a plugin that runs on when its caller is killed", () => {
  /** Kills an ADD while its plugin is at work; the plugin would go on for a minute, and then make what nobody takes away. */
  async function killedWhileWorking(): Promise<{ pod: SitePod; pluginPid: number }> {
    const here = site();
    const [working, late] = [here.path("working"), here.path("late")];
    const slow = `echo $$ > ${working}.tmp; mv ${working}.tmp ${working}; sleep 60; touch ${late}; echo '{}'`;
    here.script("slow", `[ "$CNI_COMMAND" = ADD ] || { touch ${here.path("deleted")}; exit 0; }`, slow);
    here.network("slow", { cniVersion: "1.0.0", plugins: [here.macvlan("", "10.2.0.0/24"), { type: "slow" }] });
    const pod = here.pod("slow");
    let pid = 0;
    const adding = callCni({ ...here.cniCall("ADD", pod), onStart: (started) => (pid = started) });
    while (!existsSync(working)) await Bun.sleep(20);
    process.kill(pid, "SIGKILL");
    expect(await adding).toMatchObject({ signal: "SIGKILL" });
    const pluginPid = Number(readFileSync(working, "utf8"));
    expect(isAlive(pluginPid)).toBe(true);
    return { pod, pluginPid };
  }

  test.each<[string, (pod: SitePod) => Promise<unknown>]>([
    ["DEL", (pod) => mustCallCni(site().cniCall("DEL", pod))],
    ["GC", (pod) => mustCallCni(site().cniCall("GC", pod, { conf: { "cni.dev/valid-attachments": [] } }))],
  ])("is ended by %s before anything is deleted", async (_, clean) => {
    const here = site();
    const before = here.kernel();
    const { pod, pluginPid } = await killedWhileWorking();
    await clean(pod);
    expect(isAlive(pluginPid)).toBe(false);
    expect([existsSync(here.path("deleted")), existsSync(here.path("late"))]).toEqual([true, false]);
    expect(here.remains(before)).toEqual([]);
  });
});

/** Ended but not reaped is not alive. */
function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
