import { getField } from "../json/struct.ts";
import { stringify } from "../json/stringify.ts";
import { isJsonObject, type JsonValue, parseIfJson } from "../json/value.ts";
import { type ChildOutcome, runChild } from "./child-process.ts";
import { depthVariable, type Environment } from "./environment.ts";
import { CniError, code, NotBegunError } from "./error.ts";
import { findPlugin } from "./find-plugin.ts";
import type { Invocation } from "./invoke.ts";
import { requireVersion } from "./net-conf.ts";
import type { Runtime } from "./plugin.ts";
import { decodeResult } from "./result-decode.ts";
import type { Result } from "./result.ts";

/**
 * All that a foreign plugin inherits of our environment beside CNI_*: enough to find helpers and to reach a proxied API, and nothing
 * that changes how a program is loaded or run (LD_*, BUN_*, NODE_* and the like).
 */
const inheritedVariables = [
  "PATH",
  "HOME",
  "TMPDIR",
  "KUBERNETES_SERVICE_HOST",
  "KUBERNETES_SERVICE_PORT",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "no_proxy",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "TRACEPARENT",
  "TRACESTATE",
  "BAGGAGE",
  "CNI_NETNS_OVERRIDE",
] as const;

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** A plugin in a plugin in a plugin happens; more is one that calls itself. */
const depthLimit = 8;

/** How much of a plugin's stderr is repeated in an error. */
const quotedStderrLimit = 1024;

/**
 * Executes a plugin that is not built in, as libcni does: looked up in `invocation.path`, the config on stdin, CNI_* in an environment
 * made for it. ADD gives its result, every other verb undefined. Throws `CniError`: the plugin's own with its code, or 999 when it
 * can't be started (a `NotBegunError`), does not end in time (its process group is killed) or fails without saying why. What a
 * plugin that succeeds writes to stderr is logged.
 */
export async function callForeign(runtime: Runtime, invocation: Invocation): Promise<Result | undefined> {
  const executable = findPlugin(invocation.type, invocation.path, runtime.builtinNames());
  const environment = environmentFor(invocation, runtime.environment);
  const outcome = await execute(executable, environment, runtime, invocation);
  if (outcome.failure !== "") throw failureOf(outcome, invocation);
  if (outcome.stderr.trim() !== "")
    runtime.log.verbose(`${invocation.type} ${invocation.verb}: ${outcome.stderr.trim()}`);
  return invocation.verb === "ADD" ? resultOf(outcome, invocation) : undefined;
}

async function execute(
  executable: string,
  environment: Readonly<Record<string, string>>,
  runtime: Runtime,
  invocation: Invocation,
): Promise<ChildOutcome> {
  const stdin = stringify(invocation.config);
  try {
    const { delegateTimeoutMs: timeoutMs, onChild } = runtime;
    return await runChild({ executable, environment, stdin, timeoutMs, ...(onChild === undefined ? {} : { onChild }) });
  } catch (cause) {
    const errno = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    const hint = startHints[errno] ?? CniError.from(cause).message;
    throw new NotBegunError(code.internal, `cannot execute plugin ${executable}: ${hint}`, "", { cause });
  }
}

const startHints: Readonly<Record<string, string>> = {
  EACCES: "permission denied; it needs to be executable (chmod +x), on a file system mounted without noexec",
  ENOENT: "no such file or directory; the interpreter in its first line, or its dynamic loader, is missing",
  ENOEXEC: "exec format error; it is no program for this machine, or a script without #! in its first line",
  ETXTBSY: "text file busy; something is still writing it",
};

function environmentFor(invocation: Invocation, ours: Environment): Record<string, string> {
  const depth = Number(ours[depthVariable] ?? "0");
  if (!(depth < depthLimit)) {
    throw new CniError(
      code.invalidConfig,
      `plugin ${invocation.type} was called from within ${depthLimit} plugins`,
      `a plugin calls itself for ever; look for a config whose delegate is the plugin it belongs to (${depthVariable}=${depth})`,
    );
  }
  const inherited = inheritedVariables.flatMap((name) => {
    const value = ours[name] ?? "";
    return value === "" ? [] : [[name, value] as const];
  });
  return {
    PATH: defaultPath,
    ...Object.fromEntries(inherited),
    CNI_COMMAND: invocation.verb,
    CNI_CONTAINERID: invocation.containerId,
    CNI_NETNS: invocation.netns.path,
    CNI_IFNAME: invocation.ifName,
    CNI_ARGS: invocation.args,
    CNI_PATH: invocation.path.join(":"),
    [depthVariable]: String(depth + 1),
  };
}

/** A failure by libcni's rules: an error object on stdout, or else stderr, or else how the process ended. */
function failureOf(outcome: ChildOutcome, { type }: Invocation): CniError {
  const { failure, killedFor, stdout } = outcome;
  const stderr = outcome.stderr.trim().slice(0, quotedStderrLimit);
  if (killedFor !== undefined) {
    return new CniError(code.internal, `plugin ${type} was killed with its process group: ${killedFor}`, stderr);
  }
  if (stdout.trim() === "") {
    const text =
      stderr === "" ? "netplugin failed with no error message" : `netplugin failed: ${JSON.stringify(stderr)}`;
    return new CniError(code.internal, `${text}: ${failure}`);
  }
  const error = parseIfJson(stdout);
  if (isJsonObject(error)) return errorOf(error, stderr, failure);
  const quoted = JSON.stringify(stdout.slice(0, quotedStderrLimit));
  return new CniError(code.internal, `netplugin failed but error parsing its diagnostic message ${quoted}`, stderr);
}

/** The error object of the specification; what a plugin left out is filled from its stderr. */
function errorOf(error: JsonValue, stderr: string, failure: string): CniError {
  const field = (name: string) => (isJsonObject(error) ? getField(error, name) : undefined);
  const number = field("code");
  return new CniError(
    typeof number === "number" && number > 0 ? number : code.internal,
    textOf(field("msg")) || `netplugin failed: ${failure}`,
    textOf(field("details")) || stderr,
  );
}

function textOf(value: JsonValue | undefined): string {
  if (value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function resultOf({ stdout }: ChildOutcome, { type, config }: Invocation): Result {
  const value = parseIfJson(stdout);
  if (value === undefined) {
    const quoted = stdout.trim() === "" ? "it printed nothing" : JSON.stringify(stdout.slice(0, quotedStderrLimit));
    throw new CniError(
      code.decoding,
      `failed to unmarshal raw result: plugin ${type} printed no JSON on stdout`,
      quoted,
    );
  }
  return decodeResult(value, requireVersion(config, "ADD"));
}
