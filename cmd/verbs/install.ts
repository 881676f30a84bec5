import { Command, Option } from "commander";
import type { InstallOptions } from "../../src/install/install.ts";
import { nodePath } from "../../src/install/node-path.ts";
import { serviceAccountFolder } from "../../src/kube/in-cluster.ts";
import { pluginNames } from "../builtins.ts";
import type { VerbModule } from "../verb-module.ts";
import { absolute } from "../absolute.ts";
import { untilTold } from "../daemon.ts";
import { cniVersion, flag, logLevel, seconds } from "../option-values.ts";
import type { Terminal } from "../terminal.ts";
import { UsageError } from "../usage-error.ts";
import { version } from "../version.ts";

interface Options {
  readonly operation: "install" | "copy";
  readonly watch: boolean;
  readonly timeout: number;
  readonly plugins: string | undefined;
  readonly replace: boolean;
  readonly manifests: string;
  readonly cniDir: string;
  readonly cniBinDir: string;
  readonly cniConfDir: string;
  readonly cniVersion: string;
  readonly multusConfFile: string;
  readonly multusCniConfDir: string;
  readonly skipMultusBinaryCopy: boolean;
  readonly multusKubeconfigFileHost: string;
  readonly multusMasterCniFileName: string;
  readonly namespaceIsolation: boolean;
  readonly globalNamespaces: string;
  readonly multusAutoconfigDir: string;
  readonly multusLogToStderr: boolean;
  readonly multusLogLevel: string;
  readonly multusLogFile: string;
  readonly overrideNetworkName: boolean;
  readonly cleanupConfigOnExit: boolean;
  readonly skipConfigWatch: boolean;
  readonly renameConfFile: boolean;
  readonly readinessIndicatorFile: string;
  readonly additionalBinDir: string;
  readonly skipTlsVerify: boolean;
  readonly forceCniVersion: boolean;
  readonly type: "thin" | "thick" | undefined;
  readonly destDir: string | undefined;
  readonly serviceAccount: string;
  readonly hostRoot: string;
}

const defaultBinDir = "/opt/cni/bin";
const defaultConfDir = "/etc/cni/net.d";

/** What is linked when nothing else is said, as far as this version has it. */
const defaultPlugins = ["multus", "whereabouts", "passthru"];

const help = `
On a node by hand, or in a pod with the node's folders mounted under /host (deploy/ has the manifests). Every flag of Multus'
thin_entrypoint and install_multus is accepted, with one hyphen too, so that a manifest written for those works with this image.

What is written: CNI-BIN-DIR/polynic-VERSION and a link to it for each of --plugins; CNI-CONF-DIR/00-multus.conf or .conflist, the
dispatcher in front of the config that comes first there; and, in a pod, CNI-CONF-DIR/multus.d with the service account's token and a
kubeconfig. polynic uninstall takes all of it off again.

Examples:
  polynic install                                    on a machine with a container runtime and a primary network
  polynic install --manifests /etc/polynic           with pods and networks from a folder instead of an API server
  polynic install --plugins all --replace            as every plugin that is built in; others' files are kept for uninstall
  polynic install --watch --cni-bin-dir /host/opt/cni/bin --cni-conf-dir /host/etc/cni/net.d     in a DaemonSet
`;

export const command: VerbModule["command"] = (terminal, finish) =>
  addMultusFlags(
    new Command("install")
      .description("Puts this executable in front of the node's default network, as Multus stands there.")
      .option("--host-root <dir>", "where the node's / is seen: the build that its system can start is installed", "")
      .addOption(
        new Option("--operation <what>", "copy only places the executable")
          .choices(["install", "copy"])
          .default("install"),
      )
      .option("--watch [bool]", "stay, and keep token, config and links current", flag, false)
      .option("--timeout <seconds>", "how long to wait for a default network", seconds, 600)
      .option(
        "--plugins <names>",
        `plugins to link, separated by commas, or "all" (default: ${availablePlugins().join(",")})`,
      )
      .option("--replace [bool]", "put files of others that have these names aside until uninstall", flag, false)
      .option("--manifests <dir>", "pods and networks come from this folder of YAML instead of an API server", "")
      .option("--cni-dir <dir>", "where the dispatcher keeps its journal, if not /var/lib/cni/multus", "")
      .addOption(
        new Option("--service-account <dir>", "credentials of the pod").default(serviceAccountFolder).hideHelp(),
      ),
  )
    .addHelpText("after", help)
    .action(async (options: Options) => {
      await run(options, terminal);
      finish(0);
    });

/** thin_entrypoint's and install_multus' of Multus 4.3, by their names and defaults. */
function addMultusFlags(command: Command): Command {
  return command
    .option("--cni-bin-dir <dir>", "folder of CNI plugins", defaultBinDir)
    .option("--cni-conf-dir <dir>", "folder of CNI configs", defaultConfDir)
    .option("--cni-version <version>", "of the config that is generated (default: the primary's)", cniVersion, "")
    .option("--multus-conf-file <file>", "a ready config to put into place; auto generates it", "auto")
    .option("--multus-bin-file <file>", "accepted: this executable installs itself")
    .option("--multus-cni-conf-dir <dir>", "where networks are looked up by name (the config's confDir)", "")
    .option("--skip-multus-binary-copy [bool]", "leave the folder of plugins alone", flag, false)
    .option("--multus-kubeconfig-file-host <file>", "the kubeconfig's path on the node, for the config", "")
    .option("--multus-master-cni-file-name <name>", "file name of the primary (default: the first)", "")
    .option("--namespace-isolation [bool]", "pods may only use networks of their own namespace", flag, false)
    .option("--global-namespaces <names>", "namespaces whose networks every pod may use all the same", "")
    .option("--multus-autoconfig-dir <dir>", "where the primary is looked for (default: --cni-conf-dir)", "")
    .option("--multus-log-to-stderr [bool]", "the dispatcher also logs to standard error", flag, true)
    .option("--multus-log-level <level>", "debug, verbose, error or panic", logLevel, "")
    .option("--multus-log-file <file>", "the dispatcher's log", "")
    .option("--override-network-name [bool]", "the network keeps the primary's name", flag, false)
    .option("--cleanup-config-on-exit [bool]", "with --watch: take the config away at the end", flag, false)
    .option("--skip-config-watch [bool]", "no --watch, whatever else is said", flag, false)
    .option("--rename-conf-file [bool]", "hide the primary's file from the runtime (.old)", flag, false)
    .option("--readiness-indicator-file <file>", "the default network is ready when this is there", "")
    .option("--additional-bin-dir <dir>", "where the dispatcher looks for plugins first (the config's binDir)", "")
    .addOption(new Option("--skip-tls-verify [bool]").argParser(flag).default(false).hideHelp())
    .addOption(new Option("--force-cni-version [bool]").argParser(flag).default(false).hideHelp())
    .addOption(new Option("-t, --type <type>").choices(["thin", "thick"]).hideHelp())
    .addOption(new Option("-d, --dest-dir <dir>").hideHelp());
}

async function run(options: Options, terminal: Terminal): Promise<void> {
  const steps = await import("../../src/install/install.ts");
  const say = (line: string): void => void terminal.error(`polynic: ${line}\n`);
  if (options.type === "thick")
    say("polynic has no daemon: the executable does by itself what multus-shim asks one for");
  const { chooseBuild } = await import("../../src/install/host-system.ts");
  const told = settingsOf(options, say);
  const root = options.hostRoot === "" ? "" : absolute(options.hostRoot);
  const settings = { ...told, source: chooseBuild({ own: told.source, root, binDir: told.binDir, say }) };
  steps.makeFolders(settings);
  if (settings.plugins.length > 0) await steps.installExecutable(settings);
  // install_multus does no more than that.
  if (options.operation === "copy" || options.type !== undefined) return;
  await steps.installCredentials(settings);
  await steps.waitForReadiness(settings, options.timeout * 1000);
  await steps.waitForConf(settings, options.timeout * 1000);
  if (!options.watch || options.skipConfigWatch) return;
  const { watchInstallation } = await import("../../src/install/watch.ts");
  await watchInstallation(settings, untilTold());
  if (options.cleanupConfigOnExit) await steps.removeConf(settings);
}

function settingsOf(options: Options, say: (line: string) => void): InstallOptions {
  const confDir = absolute(options.cniConfDir);
  const binDir = absolute(options.destDir ?? options.cniBinDir);
  const { KUBERNETES_SERVICE_HOST = "", KUBERNETES_SERVICE_PORT = "" } = process.env;
  const hasAccount = KUBERNETES_SERVICE_HOST !== "" && options.manifests === "";
  return {
    source: process.execPath,
    version,
    binDir,
    confDir,
    plugins: options.skipMultusBinaryCopy ? [] : wantedPlugins(options.plugins),
    replaces: options.replace,
    primaryDir: options.multusAutoconfigDir === "" ? confDir : absolute(options.multusAutoconfigDir),
    primaryFile: options.multusMasterCniFileName,
    confFile: ["auto", ""].includes(options.multusConfFile) ? "" : absolute(options.multusConfFile),
    hidesPrimary: options.renameConfFile,
    conf: confOptions(options, { binDir, confDir, hasAccount }),
    credentials: {
      account: options.serviceAccount,
      host: hasAccount ? KUBERNETES_SERVICE_HOST : "",
      port: KUBERNETES_SERVICE_PORT,
      skipsVerification: options.skipTlsVerify,
    },
    say,
  };
}

interface Places {
  readonly binDir: string;
  readonly confDir: string;
  readonly hasAccount: boolean;
}

/** The paths in the config are the node's: a runtime calls us there, not in this container. */
function confOptions(options: Options, { binDir, confDir, hasAccount }: Places): InstallOptions["conf"] {
  const ownBinDir = nodePath(binDir) === defaultBinDir ? "" : nodePath(binDir);
  const ownKubeconfig = hasAccount ? `${nodePath(confDir)}/multus.d/multus.kubeconfig` : "";
  return {
    cniVersion: options.cniVersion,
    forcesVersion: options.forceCniVersion,
    keepsName: options.overrideNetworkName,
    kubeconfig: options.multusKubeconfigFileHost || ownKubeconfig,
    manifests: options.manifests === "" ? "" : absolute(options.manifests),
    binDir: options.additionalBinDir || ownBinDir,
    networkDir: options.multusCniConfDir === "" ? "" : nodePath(options.multusCniConfDir),
    cniDir: options.cniDir === "" ? "" : absolute(options.cniDir),
    readinessIndicatorFile: options.readinessIndicatorFile,
    namespaceIsolation: options.namespaceIsolation,
    globalNamespaces: options.globalNamespaces,
    logFile: options.multusLogFile,
    logLevel: options.multusLogLevel,
    logToStderr: options.multusLogToStderr,
  };
}

function availablePlugins(): string[] {
  return defaultPlugins.filter((name) => pluginNames().includes(name));
}

function wantedPlugins(names: string | undefined): readonly string[] {
  if (names === undefined) return availablePlugins();
  if (names === "all") return pluginNames();
  const wanted = names
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  const unknown = wanted.filter((name) => !pluginNames().includes(name));
  if (unknown.length === 0) return wanted;
  throw new UsageError(`--plugins: ${unknown.join(", ")} is not built in; there are ${pluginNames().join(", ")}`);
}
