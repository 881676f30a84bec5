import { join } from "node:path";
import type { InstallOptions } from "../../src/install/install.ts";
import { polynicBin } from "../kit/cni-caller.ts";
import type { CriNode } from "../kit/cri-node.ts";

/** What `polynic install` would be told on that node, for tests that call its steps themselves. */
export function installOptions(node: CriNode, over: Partial<InstallOptions>): InstallOptions {
  const confDir = node.path("net.d");
  return {
    source: join(polynicBin, "polynic"),
    version: "test",
    binDir: node.path("bin"),
    confDir,
    plugins: ["multus"],
    replaces: false,
    primaryDir: confDir,
    primaryFile: "",
    confFile: "",
    hidesPrimary: false,
    conf: {
      cniVersion: "",
      forcesVersion: false,
      keepsName: false,
      kubeconfig: "",
      manifests: node.path("manifests"),
      binDir: node.path("bin"),
      networkDir: "",
      cniDir: node.path("cni"),
      readinessIndicatorFile: "",
      namespaceIsolation: false,
      globalNamespaces: "",
      logFile: node.path("multus.log"),
      logLevel: "verbose",
      logToStderr: true,
    },
    credentials: { account: "/nowhere", host: "", port: "", skipsVerification: false },
    say: () => {},
    ...over,
  };
}
