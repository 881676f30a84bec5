// DEL needs the journal alone, and does without it where anything else still tells what was attached.
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { mustCallCni } from "../kit/cni-caller.ts";
import { errorOf, MultusSite, type SiteCall, type SitePod, useSite } from "../kit/multus-site.ts";

const site = useSite();

interface Condition {
  readonly name: string;
  /** Spoils something after the ADD. */
  readonly spoil?: (here: MultusSite, pod: SitePod) => void;
  /** What the DELs are called with. */
  readonly call?: (here: MultusSite) => SiteCall;
  readonly stderr?: RegExp;
}

const journal = (here: MultusSite, pod: SitePod): string => here.path("cni", pod.containerId);
const overwrite = (text: string) => (here: MultusSite, pod: SitePod) => writeFileSync(journal(here, pod), text);
const removeResults = (here: MultusSite): void => rmSync(here.path("cni/results"), { recursive: true });
const torn = /journal of container \S+ is unreadable: .*; looking elsewhere for what to delete/;

const conditions: readonly Condition[] = [
  { name: "all is well" },
  { name: "the journal is gone", spoil: (here, pod) => rmSync(journal(here, pod)) },
  { name: "the journal is empty (BUG 4.3: Multus does nothing and says success)", spoil: overwrite(""), stderr: torn },
  { name: "the journal is [] (BUG 4.3: Multus panics)", spoil: overwrite("[]"), stderr: torn },
  { name: "the journal is null (BUG 4.3: Multus panics)", spoil: overwrite("null"), stderr: torn },
  { name: "the journal is of strangers", spoil: overwrite('[{"Name": 5}, "x"]'), stderr: torn },
  {
    name: "the journal is cut in half (BUG 4.3: Multus does nothing and says success)",
    spoil: (here, pod) => truncateSync(journal(here, pod), readFileSync(journal(here, pod)).length >> 1),
    stderr: torn,
  },
  { name: "the results are gone", spoil: removeResults },
  {
    name: "journal and results are gone, and the pod's annotation is all there is",
    spoil: (here, pod) => {
      removeResults(here);
      rmSync(journal(here, pod));
    },
  },
  {
    name: "the results are torn",
    spoil: (here, pod) => {
      for (const path of here.files("cni").filter((file) => file.includes(`-${pod.containerId}-`)))
        writeFileSync(here.path("cni", path), '{"kind":"cniCacheV1","containerId"');
    },
    stderr: /DEL goes on without its cached result/,
  },
  {
    name: "a network was changed since",
    spoil: (here) => here.network("one", { type: "macvlan", master: "elsewhere", name: "other" }),
  },
  { name: "a network was deleted since", spoil: (here) => rmSync(here.path("manifests/nad-default-one.json")) },
  {
    name: "the pod is not known any more",
    spoil: (here, pod) => rmSync(here.path(`manifests/pod-default-${pod.name}.json`)),
  },
  {
    name: "the manifests directory is gone",
    spoil: (here) => renameSync(here.path("manifests"), here.path("moved-away")),
  },
  { name: "the namespace is gone", spoil: (_, pod) => pod.netns[Symbol.dispose]() },
  {
    name: "the namespace is gone, and the runtime gives no path",
    spoil: (_, pod) => pod.netns[Symbol.dispose](),
    call: () => ({ netns: "" }),
  },
  {
    name: "the namespace is gone, and a plain file is left of it",
    spoil: (_, pod) => pod.netns[Symbol.dispose](),
    call: (here) => ({ netns: here.path("bin/.keep") }),
  },
  { name: "CNI_ARGS are gone", call: () => ({ args: "" }) },
  { name: "CNI_ARGS are no pairs", call: () => ({ args: "x;=;a=b=c" }) },
  {
    name: "the config has keys of wrong types",
    call: () => ({ conf: { confDir: 5, delegates: "none", namespaceIsolation: 7 } }),
    stderr: /cleaning up network multi without its config: .*\$\.confDir/,
  },
  { name: "the config names no network", call: () => ({ conf: { delegates: undefined } }), stderr: /at least one/ },
  {
    name: "the config has a prevResult of nonsense",
    call: () => ({ conf: { prevResult: { cniVersion: "9.9.9", ips: 5 } } }),
    stderr: /DEL goes on without prevResult/,
  },
  {
    name: "a lock was left by a kill",
    spoil: (here, pod) => {
      here.folder.write(`cni/locks/${pod.containerId}`, "");
    },
  },
  {
    name: "temporary files were left by kills",
    spoil: (here, pod) => {
      here.folder.write(`cni/.${pod.containerId}.tmp`, "[");
      here.folder.write(`cni/results/.one-${pod.containerId}-net1.tmp`, "{");
    },
  },
  {
    name: "interfaces are gone",
    spoil: (_, pod) => pod.netns.ip("link del eth0", "link del net2"),
  },
];

test.each(conditions)("DEL frees everything when $name, and again succeeds", async ({ spoil, call, stderr }) => {
  const here = site();
  here.network("one", here.macvlan("one", "10.2.0.0/24"));
  here.network("two", { cniVersion: "1.0.0", plugins: [here.macvlan("", "10.3.0.0/24")] });
  const pod = here.pod("one,two");
  const before = here.kernel(pod);
  await mustCallCni(here.cniCall("ADD", pod));
  cpSync(here.path("manifests"), here.path("saved"), { recursive: true });
  spoil?.(here, pod);
  const over = call?.(here);
  const outcome = await here.call("DEL", pod, over);
  expect(outcome).toMatchObject({ exitCode: 0, stdout: "" });
  if (stderr === undefined) expect(outcome.stderr).toBe("");
  else expect(outcome.stderr).toMatch(stderr);
  expect(here.remains(before, pod)).toEqual([]);
  expect(await here.call("DEL", pod, over)).toMatchObject({ exitCode: 0, stdout: "" });
  cpSync(here.path("saved"), here.path("manifests"), { recursive: true });
  rmSync(here.path("moved-away"), { recursive: true, force: true });
  expect(here.remains(before, pod)).toEqual([]);
});

/** Said by every call that reads the whole config. */
const badLevel = { logLevel: "loud" };
const warning = /logLevel: "loud" is none of/;

describe("a DEL of what is deleted already", () => {
  const deleted = async (here: MultusSite): Promise<SitePod> => {
    here.network("one", here.macvlan("one", "10.2.0.0/24"));
    const pod = here.pod("one");
    await mustCallCni(here.cniCall("ADD", pod));
    cpSync(journal(here, pod), here.path("kept-journal"));
    expect(await here.call("DEL", pod, { conf: badLevel })).toMatchObject({
      exitCode: 0,
      stderr: expect.stringMatching(warning) as string,
    });
    return pod;
  };
  const gone: SiteCall = { netns: "", conf: badLevel };
  /** What a DEL says; when the hour has just turned the next one's, since that one renews the mark. */
  const said = async (here: MultusSite, pod: SitePod, over: SiteCall): Promise<unknown> => {
    const { exitCode, stdout, stderr } = await here.call("DEL", pod, over);
    if (stderr === "") return { exitCode, stdout, stderr };
    const next = await here.call("DEL", pod, over);
    return { exitCode: next.exitCode, stdout: next.stdout, stderr: next.stderr };
  };
  const nothing = { exitCode: 0, stdout: "", stderr: "" };

  test("is answered by the mark of the first, without the dispatcher", async () => {
    const here = site();
    const pod = await deleted(here);
    for (const netns of ["", "/run/netns/that-was-unmounted"])
      expect(await said(here, pod, { ...gone, netns })).toEqual(nothing);
  });

  test("is told by the dispatcher what is wrong with it", async () => {
    const here = site();
    const pod = await deleted(here);
    expect(errorOf(await here.call("DEL", pod, { netns: "", conf: { cniVersion: "9.9.9" } })).code).toBe(1);
    expect(errorOf(await here.call("DEL", pod, { netns: "", conf: { name: "a/b" } })).code).toBe(7);
  });

  test("reads a config of any length", async () => {
    const here = site();
    const pod = await deleted(here);
    const padding = "x".repeat(200_000);
    expect(await here.call("DEL", pod, { netns: "", conf: { ...badLevel, padding } })).toMatchObject({
      exitCode: 0,
      stderr: expect.stringMatching(warning) as string,
    });
  });

  test("is done where the namespace is still there", async () => {
    const here = site();
    const pod = await deleted(here);
    expect((await here.call("DEL", pod, { conf: badLevel })).stderr).toMatch(warning);
  });

  test("is done where somebody has written a journal since, or a call was killed", async () => {
    const here = site();
    const pod = await deleted(here);
    cpSync(here.path("kept-journal"), journal(here, pod));
    expect((await here.call("DEL", pod, gone)).stderr).toMatch(warning);
    expect(here.journal(pod)).toBeUndefined();
    here.folder.write(`cni/locks/${pod.containerId}`, "");
    expect((await here.call("DEL", pod, gone)).stderr).toMatch(warning);
    expect(here.files("cni").filter((file) => file.startsWith("locks/"))).toEqual([]);
  });

  test("is done where the mark is an hour old, and renews it", async () => {
    const here = site();
    const pod = await deleted(here);
    const [hour = ""] = readdirSync(here.path("cni/.settled"));
    renameSync(here.path("cni/.settled", hour), here.path("cni/.settled", String(Number(hour) - 1)));
    expect((await here.call("DEL", pod, gone)).stderr).toMatch(warning);
    expect(await said(here, pod, gone)).toEqual(nothing);
  });
});

describe("plugins that are not ours", () => {
  /** A plugin that writes down its calls, and obeys `<name>.fails`. */
  const recorder = (here: MultusSite, name: string): void =>
    here.script(
      name,
      `printf '%s %s\\n' "$CNI_COMMAND" "$(cat)" >> ${here.path(`${name}.log`)}`,
      `[ "$CNI_COMMAND" = DEL ] && [ -e ${here.path(`${name}.fails`)} ] && { echo '{"code":130,"msg":"still busy"}'; exit 1; }`,
      `echo '{"cniVersion":"1.0.0","interfaces":[{"name":"'$CNI_IFNAME'","sandbox":"'$CNI_NETNS'"}]}'`,
    );
  const calls = (here: MultusSite, name: string) =>
    readFileSync(here.path(`${name}.log`), "utf8")
      .trim()
      .split("\n")
      .map((line) => ({
        verb: line.slice(0, line.indexOf(" ")),
        config: JSON.parse(line.slice(line.indexOf(" "))) as Record<string, unknown>,
      }));

  test("get at DEL the config and the capability arguments of the ADD (BUG 4.3: Multus sends a part)", async () => {
    const here = site();
    recorder(here, "recorder");
    const config = {
      cniVersion: "1.0.0",
      name: "recorded",
      plugins: [
        {
          type: "recorder",
          capabilities: { portMappings: true, bandwidth: true },
          own: { deep: [1, "x"] },
          ipam: { a: 1 },
        },
      ],
    };
    here.network("recorded", config);
    const asked = {
      portMappings: [{ hostPort: 8080, containerPort: 80 }],
      bandwidth: { ingressRate: 1, ingressBurst: 2, egressRate: 3, egressBurst: 4 },
    };
    const pod = here.pod([{ name: "recorded", ...asked }]);
    const fromKubelet = { portMappings: [{ hostPort: 1, containerPort: 1 }] };
    await mustCallCni(here.cniCall("ADD", pod, { conf: { runtimeConfig: fromKubelet } }));
    here.network("recorded", { ...config, plugins: [] });
    await mustCallCni(here.cniCall("DEL", pod));
    const [add, del] = calls(here, "recorder");
    expect(add?.config).toMatchObject({ own: { deep: [1, "x"] }, ipam: { a: 1 }, runtimeConfig: asked });
    const { prevResult, ...rest } = del?.config ?? {};
    expect({ ...del, config: rest }).toEqual({ verb: "DEL", config: add?.config });
    expect(prevResult).toMatchObject({ interfaces: [{ name: "net1" }] });
  });

  test("a DEL that fails is told, all others are done, and the next DEL calls it again (BUG 4.3: Multus forgets)", async () => {
    const here = site();
    recorder(here, "busy");
    here.network("busy", { cniVersion: "1.0.0", type: "busy" });
    here.network("after", here.macvlan("after", "10.4.0.0/24"));
    const pod = here.pod("busy,after");
    const before = here.kernel(pod);
    await mustCallCni(here.cniCall("ADD", pod));
    here.folder.write("busy.fails", "");
    for (let round = 0; round < 2; round++) {
      const { code, msg } = errorOf(await here.call("DEL", pod));
      expect({ code, msg }).toEqual({
        code: 130,
        msg: `Multus: [default/${pod.name}/${pod.uid}]: error deleting container from network "default/busy" (interface net1): plugin type="busy" name="busy" failed (delete): still busy`,
      });
      expect(here.leases()).toEqual([]);
      expect(here.journal(pod)).toHaveLength(3);
    }
    rmSync(here.path("busy.fails"));
    await mustCallCni(here.cniCall("DEL", pod));
    expect(here.remains(before, pod)).toEqual([]);
  });

  test("a container that was never attached goes, though its plugin refuses to delete what it never made", async () => {
    const here = site();
    recorder(here, "refuses");
    here.folder.write("refuses.fails", "");
    const pod = here.pod();
    const conf = { delegates: [{ cniVersion: "1.0.0", name: "foreign", type: "refuses" }] };
    const outcome = await here.call("DEL", pod, { conf });
    expect(outcome).toMatchObject({ exitCode: 0, stdout: "" });
    expect(outcome.stderr).toContain("passed over, since nothing shows that it was attached");
    expect(here.files("cni")).toEqual([]);
  });

  test("named in execPlugins are executed at DEL too, even when the config does not fit any more", async () => {
    const here = site();
    here.script("macvlan", `echo "$CNI_COMMAND" >> ${here.path("macvlan.log")}`, "echo '{}'");
    const pod = here.pod();
    const conf = { execPlugins: ["macvlan"] };
    await mustCallCni(here.cniCall("ADD", pod, { conf }));
    await mustCallCni(here.cniCall("DEL", pod, { conf: { ...conf, confDir: 5 } }));
    expect(readFileSync(here.path("macvlan.log"), "utf8")).toBe("ADD\nDEL\n");
    rmSync(here.path("bin/macvlan"));
  });
});

test("a container whose id is part of another's network name takes nothing of it along", async () => {
  const here = site();
  here.network("web", here.macvlan("pods-c-web", "10.5.0.0/24"));
  const other = { ...here.pod("web"), containerId: "other" };
  await mustCallCni(here.cniCall("ADD", other));
  const state = [here.kernel(other), here.files("cni"), here.leases()];
  await mustCallCni(here.cniCall("DEL", { ...here.pod(), containerId: "c" }));
  expect([here.kernel(other), here.files("cni"), here.leases()]).toEqual(state);
  await mustCallCni(here.cniCall("DEL", other));
});

test("the links of all a pod's networks go in one request: the kernel's grace period is paid once", async () => {
  const here = site();
  for (const number of [2, 3, 4]) here.network(`n${number}`, here.macvlan(`n${number}`, `10.${number}.0.0/24`));
  const pod = here.pod("n2,n3,n4");
  await mustCallCni(here.cniCall("ADD", pod));
  const outcome = await mustCallCni({ ...here.cniCall("DEL", pod), env: { POLYNIC_NLDEBUG: "1" } });
  // The dump shows numbers: RTM_DELLINK is 17, IFLA_GROUP 27. What plugins delete afterwards is not there any more.
  const deletions = outcome.stderr.split(/^sent$/m).filter((message) => /^\| 00017 \|/m.test(message));
  expect(deletions.map((message) => message.includes("|00027|"))).toEqual([true, false, false, false, false]);
  expect(pod.netns.run("ip", "-o", "link").trim().split("\n")).toHaveLength(1);
});
