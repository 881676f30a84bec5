import { CniError, code } from "./error.ts";
import { validateContainerId, validateInterfaceName } from "./names.ts";
import type { Verb } from "./version.ts";

/** Environment variables as a plain record: the process's own, or a test's. An empty value counts as missing. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Counts how often polynic is already above us among the calling processes; foreign plugins hand it on with their environment. */
export const depthVariable = "POLYNIC_DEPTH";

/** What the environment of a plugin call says (spec "Parameters"); what was not given is "". */
export interface Request {
  /** CNI_COMMAND as given: only `verbOf` says whether it is a verb, since upstream looks at the config first. */
  readonly command: string;
  readonly containerId: string;
  readonly netnsPath: string;
  readonly ifName: string;
  /** CNI_ARGS as text. */
  readonly args: string;
  /** CNI_PATH as directories in order; empty ones, which would mean the working directory, are left out. */
  readonly path: readonly string[];
  /** CNI_NETNS_OVERRIDE: CNI_NETNS may be the namespace that the plugin itself is in. */
  readonly netnsOverride: boolean;
}

interface Rule {
  readonly name: string;
  /** Verbs. */
  readonly requiredBy: readonly string[];
  /** Runs only where the variable is required and given, as upstream has it. */
  readonly validate?: (value: string) => void;
}

const attachmentVerbs = ["ADD", "CHECK", "DEL"] as const;

/** In the order in which upstream walks them; that order decides which of several problems is reported. */
const rules: readonly Rule[] = [
  { name: "CNI_CONTAINERID", requiredBy: attachmentVerbs, validate: validateContainerId },
  { name: "CNI_NETNS", requiredBy: ["ADD", "CHECK"] },
  { name: "CNI_IFNAME", requiredBy: attachmentVerbs, validate: validateInterfaceName },
  { name: "CNI_PATH", requiredBy: [...attachmentVerbs, "GC", "STATUS"] },
];

/**
 * Reads and checks the CNI variables; undefined without CNI_COMMAND, which asks for the about text. Throws `CniError` code 4: a
 * malformed value at once, missing ones all together. An unknown command requires nothing here.
 */
export function readRequest(environment: Environment): Request | undefined {
  const command = environment["CNI_COMMAND"] ?? "";
  if (command === "") return undefined;
  requireVariables(environment, command);
  return {
    command,
    containerId: environment["CNI_CONTAINERID"] ?? "",
    netnsPath: environment["CNI_NETNS"] ?? "",
    ifName: environment["CNI_IFNAME"] ?? "",
    args: environment["CNI_ARGS"] ?? "",
    path: splitPath(environment["CNI_PATH"] ?? ""),
    netnsOverride: netnsOverrideOf(environment),
  };
}

/** CNI_NETNS_OVERRIDE: "1" or "true" in any letter case. */
export function netnsOverrideOf(environment: Environment): boolean {
  const value = (environment["CNI_NETNS_OVERRIDE"] ?? "").toLowerCase();
  return value === "1" || value === "true";
}

/** CNI_PATH as a list of directories. */
export function splitPath(text: string): string[] {
  const directories: string[] = [];
  for (const directory of text.split(":")) if (directory !== "") directories.push(directory);
  return directories;
}

const verbs: readonly Verb[] = ["ADD", "DEL", "CHECK", "STATUS", "GC", "VERSION"];

/** The request's verb. Throws `CniError` code 4 for any other command. */
export function verbOf(request: Request): Verb {
  for (const verb of verbs) if (verb === request.command) return verb;
  throw new CniError(code.invalidEnvironment, `unknown CNI_COMMAND: ${request.command}`);
}

function requireVariables(environment: Environment, command: string): void {
  const missing: string[] = [];
  for (const { name, requiredBy, validate } of rules) {
    if (!requiredBy.includes(command)) continue;
    const value = environment[name] ?? "";
    if (value === "") missing.push(name);
    else validate?.(value);
  }
  if (missing.length > 0) {
    throw new CniError(code.invalidEnvironment, `required env variables [${missing.join(",")}] missing`);
  }
}
