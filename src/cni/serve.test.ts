import { expect, test } from "vitest";
import { oneAddress, prefix, type Recorded, recorder, testRuntime } from "./call.test-data.ts";
import type { Environment } from "./environment.ts";
import { CniError } from "./error.ts";
import type { Plugin } from "./plugin.ts";
import { printResult } from "./print.ts";
import { emptyResult } from "./result.ts";
import { serve } from "./serve.ts";
import { versions } from "./version.ts";

const environment: Environment = {
  CNI_COMMAND: "ADD",
  CNI_CONTAINERID: "c1",
  CNI_NETNS: "/run/netns/gone",
  CNI_IFNAME: "net1",
  CNI_PATH: "/nowhere",
};
const config = { cniVersion: "1.1.0", name: "net", type: "rec", mtu: 1500 };

interface Served {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function call(plugin: Plugin, change: Environment, stdin: object | string = config): Promise<Served> {
  const written = { stdout: "", stderr: "" };
  using runtime = testRuntime([plugin]);
  const edges = {
    environment: { ...environment, ...change },
    readStdin: () => Promise.resolve(typeof stdin === "string" ? stdin : JSON.stringify(stdin)),
    writeStdout: (text: string) => Promise.resolve((written.stdout += text)),
    writeStderr: (text: string) => Promise.resolve((written.stderr += text)),
  };
  const exitCode = await serve(plugin, "1.2.3", edges, () => runtime);
  return { exitCode, ...written };
}

function errorText(code: number, msg: string, details = ""): string {
  return JSON.stringify(details === "" ? { code, msg } : { code, msg, details }, null, 4);
}

test("without a command the about text goes to stderr", async () => {
  expect(await call(recorder("rec", []), { CNI_COMMAND: "" }, "junk")).toEqual({
    exitCode: 0,
    stdout: "",
    stderr: `CNI rec plugin 1.2.3\nCNI protocol versions supported: ${versions.join(", ")}\n`,
  });
});

test("VERSION prints one compact line and ignores stdin", async () => {
  const stdout = `{"cniVersion":"1.1.0","supportedVersions":["0.4.0","1.0.0","1.1.0"]}\n`;
  const plugin = recorder("rec", [], { since: "0.4.0" });
  expect(await call(plugin, { CNI_COMMAND: "VERSION" }, "junk")).toEqual({ exitCode: 0, stdout, stderr: "" });
});

test("ADD hands the plugin everything typed and prints its result in the config's version", async () => {
  const seen: Recorded[] = [];
  const change = { CNI_ARGS: "IgnoreUnknown=1;MAC=a" };
  const served = await call(recorder("rec", seen), change, { ...config, cniVersion: "0.4.0" });
  expect(served).toEqual({ exitCode: 0, stdout: printResult(oneAddress, "0.4.0"), stderr: "" });
  expect(seen).toMatchObject([
    {
      verb: "ADD",
      call: {
        conf: { cniVersion: "0.4.0", name: "net", type: "rec", ipamType: "" },
        config: 1500,
        containerId: "c1",
        ifName: "net1",
        netns: { path: "/run/netns/gone" },
        args: {
          pairs: [
            ["IgnoreUnknown", "1"],
            ["MAC", "a"],
          ],
          ignoreUnknown: true,
        },
        ipam: { type: "" },
      },
    },
  ]);
});

const verbs = ["ADD", "DEL", "CHECK", "STATUS", "GC"] as const;
const oldest: Record<(typeof verbs)[number], string> = {
  ADD: "0.1.0",
  DEL: "0.1.0",
  CHECK: "0.4.0",
  STATUS: "1.1.0",
  GC: "1.1.0",
};
const table = verbs.flatMap((verb) => versions.map((version) => [verb, version] as const));

test.each(table)("%s at version %s runs the plugin once, or names the version as the reason", async (verb, version) => {
  const seen: Recorded[] = [];
  const prevResult =
    version < "0.3.0" ? { ip4: { ip: "10.1.2.3/24" } } : { ips: [{ version: "4", address: "10.1.2.3/24" }] };
  const full = { ...config, cniVersion: version, prevResult, "cni.dev/valid-attachments": [] };
  const served = await call(recorder("rec", seen), { CNI_COMMAND: verb }, full);
  if (version < oldest[verb]) {
    const details = `config is "${version}", ${verb} needs ${oldest[verb]} or newer`;
    expect(served.stdout).toBe(errorText(1, `config version does not allow ${verb}`, details));
    expect(served.exitCode).toBe(1);
    expect(seen).toEqual([]);
    return;
  }
  expect(served).toEqual({ exitCode: 0, stdout: verb === "ADD" ? printResult(oneAddress, version) : "", stderr: "" });
  expect(seen).toMatchObject([{ verb, call: { config: 1500, conf: { prevResult: { ips: [{ address: prefix }] } } } }]);
});

test.each(["CHECK", "STATUS", "GC"] as const)("%s of a plugin without it succeeds and prints nothing", async (verb) => {
  const plugin = { name: "rec", parse: () => 1, add: () => oneAddress, del: () => {} };
  const full = { ...config, prevResult: {}, "cni.dev/valid-attachments": [] };
  expect(await call(plugin, { CNI_COMMAND: verb }, full)).toEqual({
    exitCode: 0,
    stdout: "",
    stderr: "",
  });
});

const throwing = (error: unknown): Plugin =>
  recorder("rec", [], {
    add: () => {
      throw error;
    },
  });

const failures: readonly (readonly [
  name: string,
  plugin: Plugin,
  change: Environment,
  stdin: object | string,
  want: string,
])[] = [
  [
    "a missing variable",
    recorder("rec", []),
    { CNI_IFNAME: "" },
    "junk",
    errorText(4, "required env variables [CNI_IFNAME] missing"),
  ],
  [
    "an unknown command",
    recorder("rec", []),
    { CNI_COMMAND: "FROB" },
    config,
    errorText(4, "unknown CNI_COMMAND: FROB"),
  ],
  [
    "an unknown command, after the name",
    recorder("rec", []),
    { CNI_COMMAND: "FROB" },
    {},
    errorText(7, "missing network name", 'the config needs a "name"'),
  ],
  [
    "an unknown version",
    recorder("rec", [], { since: "1.0.0" }),
    {},
    { ...config, cniVersion: "9.9.9" },
    errorText(1, "incompatible CNI versions", 'config is "9.9.9", plugin supports ["1.0.0" "1.1.0"]'),
  ],
  [
    "an error of the plugin's own",
    throwing(new CniError(11, "busy", "later")),
    {},
    config,
    errorText(11, "busy", "later"),
  ],
  ["an exception", throwing(new TypeError("x is\nundefined")), {}, config, errorText(999, "x is; undefined")],
  ["something thrown that is no error", throwing("odd"), {}, config, errorText(999, "odd")],
  [
    "CHECK without prevResult",
    recorder("rec", []),
    { CNI_COMMAND: "CHECK" },
    config,
    errorText(7, "Required prevResult missing", "CHECK needs the result of the ADD"),
  ],
  [
    "a namespace that is gone",
    recorder("rec", [], {
      add: (call) => {
        call.netns.open();
        return emptyResult;
      },
    }),
    {},
    config,
    errorText(8, 'failed to open netns "/run/netns/gone": network namespace /run/netns/gone does not exist'),
  ],
  [
    "a result that the version can't say",
    recorder("rec", [], { add: () => emptyResult }),
    {},
    { ...config, cniVersion: "0.2.0" },
    errorText(
      1,
      "cannot convert: no valid IP addresses",
      "a result of version 0.2.0 needs an IP address; set cniVersion to 0.3.1 or newer for a network without IPAM",
    ),
  ],
];

test.each(failures)("%s is printed as an error with exit code 1", async (_, plugin, change, stdin, want) => {
  expect(await call(plugin, change, stdin)).toEqual({ exitCode: 1, stdout: want, stderr: "" });
});

test("stdin that can't be read is code 5", async () => {
  let stdout = "";
  const edges = {
    environment,
    readStdin: () => Promise.reject(new Error("EBADF")),
    writeStdout: (text: string) => Promise.resolve((stdout += text)),
    writeStderr: () => Promise.resolve(),
  };
  const exitCode = await serve(recorder("rec", []), "1", edges, () => expect.unreachable());
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: errorText(5, "error reading from stdin: EBADF") });
});

test.each(["ADD", "DEL"] as const)(
  "%s in the plugin's own namespace is refused before anything is done",
  async (verb) => {
    const seen: Recorded[] = [];
    const own = { CNI_COMMAND: verb, CNI_NETNS: "/proc/thread-self/ns/net" };
    const served = await call(recorder("rec", seen), own);
    expect(served.exitCode).toBe(1);
    expect(JSON.parse(served.stdout)).toMatchObject({
      code: 8,
      msg: "plugin's netns and netns from CNI_NETNS should not be the same",
    });
    expect(seen).toEqual([]);
    expect(await call(recorder("rec", seen), { ...own, CNI_NETNS_OVERRIDE: "TRUE" })).toMatchObject({ exitCode: 0 });
    expect(seen).toMatchObject([{ verb }]);
  },
);

test.each(["", "/run/netns/gone", "/etc/hostname", "/root"])("DEL goes on with the namespace %j", async (path) => {
  const seen: Recorded[] = [];
  const served = await call(recorder("rec", seen), { CNI_COMMAND: "DEL", CNI_NETNS: path });
  expect(served).toEqual({ exitCode: 0, stdout: "", stderr: "" });
  expect(seen).toMatchObject([{ verb: "DEL", call: { netns: { path } } }]);
});

test("a result that can't be printed undoes the ADD and is told on stderr when stdout is broken", async () => {
  const undone: string[] = [];
  const plugin = recorder("rec", [], {
    add: ({ undo }) => {
      undo.push("link", () => void undone.push("link"));
      return oneAddress;
    },
  });
  using runtime = testRuntime([]);
  let stderr = "";
  const edges = {
    environment,
    readStdin: () => Promise.resolve(JSON.stringify(config)),
    writeStdout: () => Promise.reject(new Error("EPIPE")),
    writeStderr: (text: string) => Promise.resolve((stderr += text)),
  };
  expect(await serve(plugin, "1", edges, () => runtime)).toBe(1);
  expect(undone).toEqual(["link"]);
  expect(stderr).toBe("polynic: EPIPE (stdout is not writable: EPIPE)\n");
});

test("the plugin may delegate to a built-in IPAM plugin with its whole config", async () => {
  const seen: Recorded[] = [];
  const ipam = recorder("ipam", seen);
  const plugin = recorder("rec", [], { add: (call) => call.ipam.add(call.undo) });
  using runtime = testRuntime([ipam]);
  let stdout = "";
  const edges = {
    environment,
    readStdin: () => Promise.resolve(JSON.stringify({ ...config, ipam: { type: "ipam" } })),
    writeStdout: (text: string) => Promise.resolve((stdout += text)),
    writeStderr: () => Promise.resolve(),
  };
  expect(await serve(plugin, "1", edges, () => runtime)).toBe(0);
  expect(stdout).toBe(printResult({ ...emptyResult, ips: [{ address: prefix }] }, "1.1.0"));
  expect(seen).toMatchObject([{ verb: "ADD", call: { conf: { type: "rec", ipamType: "ipam" }, containerId: "c1" } }]);
});
