import { existsSync } from "node:fs";
import { getField } from "../json/struct.ts";
import { isJsonObject, type JsonObject, type JsonValue, parse } from "../json/value.ts";
import { journaledContainers, readJournal } from "../multus/journal.ts";
import { InstallError } from "./install-error.ts";

/** A container whose attachments are in the journal. */
export interface Holder {
  readonly containerId: string;
  /** Its network namespace; "" when the journal does not say. */
  readonly netns: string;
  readonly isRunning: boolean;
}

/** As runtimes name a pod's first interface; a journal of ours names its own. */
const defaultIfName = "eth0";

/** The containers that hold networks, and whether they still run. */
export function holders(cniDir: string): Holder[] {
  return journaledContainers(cniDir).map((containerId) => {
    const state = readJournal(cniDir, containerId, defaultIfName);
    const entries = state.kind === "present" ? state.entries : [];
    const netns = entries.find((entry) => entry.netns !== "")?.netns ?? "";
    // Where nobody can say it counts as running: a pod's network must not be taken away by mistake.
    return { containerId, netns, isRunning: netns === "" || existsSync(netns) };
  });
}

export interface Releaser {
  /** The executable to call: this process's own, since the node's may be a build that this container can't start. */
  readonly executable: string;
  readonly binDir: string;
  /** Text of the config that the runtime used. */
  readonly conf: string;
}

/**
 * DEL for everything that a container holds, as a runtime calls it; the default network's part may be gone already. Returns what it
 * complained about, or undefined.
 */
export async function releaseHolder(
  { executable, binDir, conf }: Releaser,
  { containerId, netns, isRunning }: Holder,
): Promise<string | undefined> {
  const child = Bun.spawn([executable], {
    argv0: "multus",
    env: {
      PATH: process.env["PATH"] ?? "",
      CNI_COMMAND: "DEL",
      CNI_CONTAINERID: containerId,
      CNI_NETNS: isRunning ? netns : "",
      CNI_IFNAME: defaultIfName,
      CNI_PATH: binDir,
    },
    stdin: new TextEncoder().encode(pluginConf(conf)),
    stdout: "pipe",
    stderr: "ignore",
  });
  const [out] = await Promise.all([child.stdout.text(), child.exited]);
  return child.exitCode === 0 ? undefined : `container ${containerId}: ${out.trim().replaceAll(/\s*\n\s*/g, " ")}`;
}

/** What a runtime would send to the first plugin of the config. */
function pluginConf(text: string): string {
  const { value } = text === "" ? { value: undefined } : parse(text);
  if (!isJsonObject(value)) {
    throw new InstallError(
      "config",
      "pods still hold networks, and the dispatcher's config is gone: put 00-multus.conf back, or detach them with polynic gc",
    );
  }
  const plugins = getField(value, "plugins");
  if (!Array.isArray(plugins)) return JSON.stringify(value);
  const first: JsonObject = isJsonObject(plugins[0] as JsonValue) ? (plugins[0] as JsonObject) : {};
  return JSON.stringify({ ...first, name: getField(value, "name"), cniVersion: getField(value, "cniVersion") });
}
