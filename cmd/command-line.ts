import { Command, CommanderError, Help, type Option } from "commander";
import { explain } from "../src/play/explain.ts";
import { exitUsage, reportFailure, sayProblem } from "./failure.ts";
import { processTerminal, type Terminal } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";
import type { VerbModule } from "./verb-module.ts";
import { version } from "./version.ts";

interface Verb {
  readonly summary: string;
  readonly load: () => Promise<VerbModule>;
}

const verbs: Readonly<Record<string, Verb>> = {
  play: { summary: "make the pods of Kubernetes manifests on this machine", load: () => import("./verbs/play.ts") },
  plan: { summary: "print which networks pods would get", load: () => import("./verbs/plan.ts") },
  explain: { summary: "say why a pod gets, or lacks, its networks", load: () => import("./verbs/explain.ts") },
  add: { summary: "attach a network namespace to a network", load: () => import("./verbs/add.ts") },
  check: { summary: "check this node, or an attachment", load: () => import("./verbs/check.ts") },
  del: { summary: "detach a network namespace from a network", load: () => import("./verbs/del.ts") },
  gc: { summary: "delete all attachments of a network", load: () => import("./verbs/gc.ts") },
  status: { summary: "ask whether a network is ready", load: () => import("./verbs/status.ts") },
  install: { summary: "put polynic in front of this node's default network", load: () => import("./verbs/install.ts") },
  uninstall: { summary: "take polynic off this node again", load: () => import("./verbs/uninstall.ts") },
  idle: { summary: "wait until told to end, as the rest of a pod may have to", load: () => import("./verbs/idle.ts") },
  agent: { summary: "do CNI calls of this node in warm processes", load: () => import("./verbs/agent.ts") },
  ipam: { summary: "who holds which address, and what is leaked", load: () => import("./verbs/ipam.ts") },
  controller: { summary: "keep the pools of a cluster in order", load: () => import("./verbs/controller.ts") },
  "ip-control-loop": {
    summary: "the same, started as whereabouts' own program is",
    load: () => import("./verbs/ip-control-loop.ts"),
  },
  "index-slices": {
    summary: "write this node's slices into the pools (whereabouts starts it)",
    load: () => import("./verbs/index-slices.ts"),
  },
  version: { summary: "print the version and what is built in", load: () => import("./verbs/version.ts") },
};

const examples = `
Examples:
  polynic play -f pods.yaml              make the pods of a manifest on this machine, with all their networks
  polynic play -f pods/ --dry-run        say what that would do, and change nothing
  polynic plan -f pods/ default/web      every network of one pod, where its config comes from, and in which order
  polynic explain default/web -f pods/   why it gets them, what was injected, what would be refused
  polynic play --down                    take down every pod that play has made
  polynic add multi /run/netns/x         attach a network of /etc/cni/net.d, as cnitool does
  polynic help play                      more about one command

As a CNI plugin: link this executable as multus, macvlan, bridge, host-local … into the node's plugin folder; it answers to the
name it is called by. Called as polynic with CNI_COMMAND set, it is the plugin that the config's "type" names.
`;

/** Runs the command line; `args` are the words after the program's name. Returns the exit code: 2 for bad input, 1 for a failure. */
export async function runCommandLine(args: readonly string[], terminal: Terminal = processTerminal()): Promise<number> {
  let exitCode = 0;
  const finish = (code: number): void => {
    exitCode = code;
  };
  const output: Promise<void>[] = [];
  try {
    const program = await programFor(args, terminal, finish, output);
    if (args.length === 0) program.outputHelp();
    else if (args.length === 1) requireVerbOf(program, args[0]!);
    if (args.length > 0) await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    exitCode = await report(error, args, terminal);
  }
  try {
    await Promise.all(output);
  } catch (error) {
    exitCode = await reportFailure(error, terminal);
  }
  return exitCode;
}

/** All verbs by name and summary, so that the help lists them; only the one that is called is loaded. */
async function programFor(
  args: readonly string[],
  terminal: Terminal,
  finish: (exitCode: number) => void,
  output: Promise<void>[],
): Promise<Command> {
  const program = new Command("polynic")
    .description("Every network interface of every pod, from one executable.")
    .version(version, "--version", "print the version")
    .helpOption("-h, --help", "show this help")
    .addHelpText("after", examples)
    .showSuggestionAfterError();
  const wanted = args[0] === "help" ? args[1] : args[0];
  if (args[0] === "help" && wanted !== undefined && !(wanted in verbs))
    throw new UsageError(`unknown command '${wanted}'; polynic --help lists them`);
  for (const [name, { summary, load }] of Object.entries(verbs)) {
    const command = name === wanted ? (await load()).command(terminal, finish) : new Command(name);
    program.addCommand(command.summary(summary));
  }
  for (const command of withSubcommands(program)) {
    command
      .exitOverride()
      .configureOutput({ writeOut: (text) => output.push(terminal.out(text)), writeErr: () => {} })
      .configureHelp({ helpWidth: 120, optionDescription });
  }
  return program;
}

/** A command that only groups others does nothing by itself. Throws `UsageError` that names them. */
function requireVerbOf(program: Command, name: string): void {
  const group = program.commands.find((each) => each.name() === name);
  if (group === undefined || group.commands.length === 0) return;
  const verbs = group.commands.map((each) => each.name()).join(", ");
  throw new UsageError(`${name}: name one of its commands: ${verbs}; polynic ${name} --help shows how`);
}

/** A default that is nothing is not worth telling. */
function optionDescription(option: Option): string {
  const { description } = option;
  const defaultValue: unknown = option.defaultValue;
  const isNothing =
    defaultValue === "" || defaultValue === false || (Array.isArray(defaultValue) && defaultValue.length === 0);
  return isNothing ? description : new Help().optionDescription(option);
}

function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

async function report(error: unknown, args: readonly string[], terminal: Terminal): Promise<number> {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    const verb = args[0] !== undefined && args[0] in verbs ? ` ${args[0]}` : "";
    await sayProblem(terminal, `${problemOf(error)}; polynic${verb} --help shows how`);
    return exitUsage;
  }
  return reportFailure(error, terminal);
}

/** Commander's own words as one sentence without an end. */
function problemOf(error: CommanderError): string {
  return explain(error)
    .replace(/^error: /, "")
    .replace("; (Did", " (Did")
    .replace(" is invalid. ", " is invalid: ")
    .replace(/\.$/, "");
}
