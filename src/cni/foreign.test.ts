import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { kill, SIGKILL } from "../libc/process.ts";
import { NetnsRef } from "../netns/ref.ts";
import { invocation, prefix, testRuntime } from "./call.test-data.ts";
import { CniError } from "./error.ts";
import { findPlugin } from "./find-plugin.ts";
import { callForeign } from "./foreign.ts";
import type { Invocation } from "./invoke.ts";
import type { Runtime } from "./plugin.ts";
import { emptyResult } from "./result.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "polynic-foreign-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes an executable shell script; `#!/bin/sh` is put before it. */
function script(name: string, body: string): void {
  writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
}

async function call(type: string, change: Partial<Invocation> = {}, runtimeChange: Partial<Runtime> = {}) {
  using runtime = testRuntime([], runtimeChange);
  const result = await callForeign(runtime, invocation(type, { path: [folder], ...change }));
  return { result, log: runtime.entries.map(({ message }) => message) };
}

async function failure(
  type: string,
  change?: Partial<Invocation>,
  runtimeChange?: Partial<Runtime>,
): Promise<CniError> {
  const error: unknown = await call(type, change, runtimeChange).catch((cause: unknown) => cause);
  if (error instanceof CniError) return error;
  throw new Error(`expected a CniError, got ${String(error)}`);
}

const pidIn = (name: string) => Number(readFileSync(join(folder, name), "utf8"));

/** True once the process is gone or only its exit status is left. */
async function isEnded(pid: number): Promise<boolean> {
  for (let attempt = 0; attempt < 6000; attempt++) {
    const stat = statOf(pid);
    if (stat === "" || stat.split(") ")[1]?.startsWith("Z") === true) return true;
    await Bun.sleep(10);
  }
  return false;
}

function statOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return "";
  }
}

test("the plugin gets CNI_* and a short list of ours as its whole environment, and the config on stdin", async () => {
  script("env", `env | sort > ${folder}/env.out; cat > ${folder}/stdin.out; echo null`);
  const environment = {
    PATH: "/usr/bin:/bin",
    LD_PRELOAD: "/x.so",
    BUN_OPTIONS: "--x",
    NODE_OPTIONS: "--x",
    CNI_COMMAND: "GC",
    TRACEPARENT: "00-1",
    CNI_NETNS_OVERRIDE: "1",
    HOME: "",
  };
  const config = { cniVersion: "1.0.0", name: "net", type: "env", note: "<é&\u2028>" };
  const netns = new NetnsRef("/run/netns/gone");
  const change = { config, netns, args: "A=b;C=d", path: [folder, "/opt/cni/bin"] };
  await call("env", change, { environment });
  const lines = readFileSync(join(folder, "env.out"), "utf8").trim().split("\n");
  // The shell itself adds PWD, SHLVL and _.
  expect(lines.filter((line) => !/^(PWD|SHLVL|_|OLDPWD)=/.test(line))).toEqual([
    "CNI_ARGS=A=b;C=d",
    "CNI_COMMAND=ADD",
    "CNI_CONTAINERID=c1",
    "CNI_IFNAME=net1",
    "CNI_NETNS=/run/netns/gone",
    "CNI_NETNS_OVERRIDE=1",
    `CNI_PATH=${folder}:/opt/cni/bin`,
    "PATH=/usr/bin:/bin",
    "POLYNIC_DEPTH=1",
    "TRACEPARENT=00-1",
  ]);
  expect(JSON.parse(readFileSync(join(folder, "stdin.out"), "utf8"))).toEqual(config);
});

test("without a PATH of ours the plugin gets the usual directories", async () => {
  script("path", `echo "$PATH" > ${folder}/path.out; echo null`);
  await call("path");
  expect(readFileSync(join(folder, "path.out"), "utf8")).toContain("/usr/sbin:/usr/bin:/sbin:/bin");
});

const ip = { ...emptyResult, ips: [{ address: prefix }] };

test.each([
  ["of the config's version when it names none", `{"ips":[{"address":"10.1.2.3/24"}]}`, "1.1.0", ip],
  ["of its own version", `{"cniVersion":"0.2.0","ip4":{"ip":"10.1.2.3/24"}}`, "1.1.0", ip],
  ["of an old config", `{"ip4":{"ip":"10.1.2.3/24"},"dns":{}}`, "0.2.0", ip],
  ["null, which is empty", "null", "1.1.0", emptyResult],
])("a result %s is read", async (_, stdout, cniVersion, want) => {
  script("result", `cat <<'END'\n${stdout}\nEND`);
  const config = { cniVersion, name: "net", type: "result" };
  expect(await call("result", { config })).toEqual({ result: want, log: [] });
});

test("what a plugin prints for other verbs than ADD is ignored, and its stderr is logged", async () => {
  script("chatty", "echo junk; echo from the plugin >&2");
  expect(await call("chatty", { verb: "DEL" })).toEqual({ result: undefined, log: ["chatty DEL: from the plugin"] });
});

const failures: readonly (readonly [name: string, body: string, want: Partial<CniError>])[] = [
  [
    "an error object keeps its code, text and details",
    `echo '{"cniVersion":"1.0.0","code":11,"msg":"busy","details":"later"}'; exit 1`,
    { code: 11, message: "busy", details: "later" },
  ],
  [
    "an error object without details gets stderr for details",
    `echo '{"Code":100,"MSG":"odd"}'; echo why >&2; exit 3`,
    { code: 100, message: "odd", details: "why" },
  ],
  [
    "an empty error object says how it ended",
    "echo '{}'; exit 7",
    { code: 999, message: "netplugin failed: exit status 7" },
  ],
  ["only stderr", "echo 'a \"b\"' >&2; exit 1", { code: 999, message: `netplugin failed: "a \\"b\\"": exit status 1` }],
  ["nothing at all", "exit 2", { code: 999, message: "netplugin failed with no error message: exit status 2" }],
  ["death by a signal", "kill -TERM $$", { message: "netplugin failed with no error message: signal: terminated" }],
  [
    "text that is no JSON",
    "echo panic; echo trace >&2; exit 2",
    { code: 999, message: `netplugin failed but error parsing its diagnostic message "panic\\n"`, details: "trace" },
  ],
  [
    "success without a result",
    "exit 0",
    {
      code: 6,
      message: "failed to unmarshal raw result: plugin failing printed no JSON on stdout",
      details: "it printed nothing",
    },
  ],
  ["success with a result that is none", "echo '{\"ips\":[{}]}'", { code: 6 }],
];

test.each(failures)("%s", async (_, body, want) => {
  script("failing", body);
  expect(await failure("failing")).toMatchObject(want);
});

test("a plugin that does not end in time is killed with its grandchildren", async () => {
  script("hung", `sleep 1000 & echo $! > ${folder}/hung.pid; echo stuck >&2; wait`);
  const error = await failure("hung", {}, { delegateTimeoutMs: 3000 });
  expect(error).toMatchObject({
    code: 999,
    message: "plugin hung was killed with its process group: it ran for more than 3 s",
    details: "stuck",
  });
  expect(await isEnded(pidIn("hung.pid"))).toBe(true);
});

test("a daemon that the plugin leaves behind holding its pipes does not hold up the result, and lives on", async () => {
  script("daemon", `sleep 1000 & echo $! > ${folder}/daemon.pid; echo '{"ips":[{"address":"10.1.2.3/24"}]}'`);
  expect(await call("daemon")).toEqual({ result: ip, log: [] });
  expect(kill(pidIn("daemon.pid"), SIGKILL)).toBe(true);
});

const large = { cniVersion: "1.1.0", name: "net", filler: "x".repeat(1 << 20) };

test("a large config reaches a plugin that reads late, whole", async () => {
  script("slow", `sleep 0.3; wc -c > ${folder}/slow.out; echo null`);
  await call("slow", { config: large });
  expect(Number(readFileSync(join(folder, "slow.out"), "utf8"))).toBe(JSON.stringify(large).length);
});

test("a plugin need not read its config", async () => {
  script("deaf", "exec 0<&-; echo null");
  expect(await call("deaf", { config: large })).toEqual({ result: emptyResult, log: [] });
});

test("a large result comes back whole", async () => {
  script("wordy", `printf '{"dns":{"domain":"'; head -c 1000000 /dev/zero | tr '\\0' x; echo '"}}'`);
  const { result } = await call("wordy");
  expect(result?.dns.domain?.length).toBe(1_000_000);
});

test("a plugin that prints without end is killed", async () => {
  script("endless", "exec cat /dev/zero");
  expect((await failure("endless")).message).toMatch(/^plugin endless was killed .* it printed more than \d+ bytes$/);
});

test("an executable that is still being written is waited for (BUG 4.6: Multus fails, or succeeds without a result)", async () => {
  script("busy", "echo null");
  const writer = openSync(join(folder, "busy"), "r+");
  const pending = call("busy");
  setTimeout(() => closeSync(writer), 200);
  expect(await pending).toEqual({ result: emptyResult, log: [] });
});

const unstartable: readonly (readonly [name: string, content: string | Uint8Array, mode: number, want: RegExp])[] = [
  ["a script without #!", "echo null\n", 0o755, /exec format error/],
  [
    "a program of another machine",
    new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0xff]),
    0o755,
    /exec format error/,
  ],
  ["a script with a missing interpreter", "#!/nowhere/sh\n", 0o755, /no such file or directory; the interpreter/],
  ["a file that is not executable", "#!/bin/sh\n", 0o644, /permission denied/],
];

test.each(unstartable)("%s is refused with the reason", async (_, content, mode, want) => {
  writeFileSync(join(folder, "broken"), content);
  chmodSync(join(folder, "broken"), mode);
  const error = await failure("broken");
  expect(error.message).toMatch(want);
  expect(error.message).toContain(`cannot execute plugin ${folder}/broken: `);
});

test("a plugin that calls itself for ever is refused", async () => {
  script("self", "echo null");
  expect(await call("self", {}, { environment: { POLYNIC_DEPTH: "7" } })).toMatchObject({ result: emptyResult });
  for (const depth of ["8", "junk"]) {
    const error = await failure("self", {}, { environment: { POLYNIC_DEPTH: depth } });
    expect(error).toMatchObject({ code: 7, message: "plugin self was called from within 8 plugins" });
  }
});

test("a plugin is the first regular file of its name, symbolic links followed", () => {
  const at = (name: string) => join(folder, "find", name);
  mkdirSync(at("a/directory"), { recursive: true });
  mkdirSync(at("b"));
  writeFileSync(at("b/directory"), "");
  writeFileSync(at("b/file"), "");
  symlinkSync("../b/file", at("a/link"));
  symlinkSync("/nowhere", at("a/file"));
  const path = ["/nowhere", at("a/"), at("b/file"), at("b")];
  expect(findPlugin("directory", path, [])).toBe(at("b/directory"));
  expect(findPlugin("file", path, [])).toBe(at("b/file"));
  expect(findPlugin("link", path, [])).toBe(at("a/link"));
});

test.each([
  ["", "no plugin name provided"],
  ["a/b", "invalid plugin name: a/b"],
  ["..", "invalid plugin name: .."],
  ["gone", 'failed to find plugin "gone" in path [/nowhere /etc/hostname]'],
])("the plugin name %j is refused: %s", (name, message) => {
  expect(() => findPlugin(name, ["/nowhere", "/etc/hostname"], [])).toThrow(expect.objectContaining({ message }));
});

test.each([
  ["maclan", "did you mean macvlan?"],
  ["calcio", "did you mean calico?"],
  ["Host-Local", "did you mean host-local?"],
  ["sriov", "it is not built in: its executable belongs into one of these folders"],
])("a plugin %j that is nowhere is answered: %s", (name, details) => {
  const path = [join(folder, "named"), "/nowhere"];
  mkdirSync(join(folder, "named/sriow"), { recursive: true });
  writeFileSync(join(folder, "named/calico"), "");
  expect(() => findPlugin(name, path, ["macvlan", "host-local"])).toThrow(
    expect.objectContaining({ message: expect.stringContaining("failed to find plugin"), details }),
  );
});

test("a plugin that is nowhere, without a folder to look in, is no built-in one", () => {
  expect(() => findPlugin("sriov", [], ["macvlan"])).toThrow(
    expect.objectContaining({ details: "it is not built in, and CNI_PATH names no folder to look in" }),
  );
});
