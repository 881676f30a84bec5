// A foreign plugin that writes down every call it gets and prints a result that the test chose: what a delegate is really told.
import { existsSync, readFileSync } from "node:fs";
import type { Json, MultusSite } from "./multus-site.ts";

export interface RecordedCall {
  readonly command: string;
  readonly containerId: string;
  readonly ifName: string;
  readonly netns: string;
  readonly args: string;
  readonly config: Json;
}

const separator = "\u001f";

/** The plugin `type` of a site; without a result ADD prints an empty one of version 1.0.0. */
export class Recorder {
  readonly #log: string;

  constructor(
    readonly site: MultusSite,
    readonly type = "recorder",
    result: Json = { cniVersion: "1.0.0" },
  ) {
    this.#log = site.path(`${type}.log`);
    const line = ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS", "CNI_ARGS"].map((name) => `"$${name}"`);
    site.script(
      type,
      "config=$(cat)",
      `printf '%s${separator}%s${separator}%s${separator}%s${separator}%s${separator}%s\\n' ${line.join(" ")} "$config" >> ${this.#log}`,
      `[ "$CNI_COMMAND" != ADD ] || echo '${JSON.stringify(result)}'`,
    );
  }

  /** The calls since the last question, in order. */
  take(): RecordedCall[] {
    const text = existsSync(this.#log) ? readFileSync(this.#log, "utf8") : "";
    this.site.folder.write(`${this.type}.log`, "");
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => {
        const [command = "", containerId = "", ifName = "", netns = "", args = "", config = ""] = line.split(separator);
        return { command, containerId, ifName, netns, args, config: JSON.parse(config) as Json };
      });
  }
}
