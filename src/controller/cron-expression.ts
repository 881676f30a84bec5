import { JsonError } from "../json/error.ts";
import { getField } from "../json/struct.ts";
import { isJsonObject, type JsonValue, parse } from "../json/value.ts";
import { readTextIfExists } from "../libc/file.ts";

/** The files that may say when leaked addresses are looked for. */
export interface CronFiles {
  /** Holds the expression and nothing else. */
  readonly mounted: string;
  /** The first that exists counts. */
  readonly flat: readonly string[];
}

const installed: CronFiles = {
  // Where whereabouts' manifests mount the ConfigMap whereabouts-config.
  mounted: "/cron-schedule/config",
  // In the order of whereabouts.
  flat: [
    "/etc/kubernetes/cni/net.d/whereabouts.d/whereabouts.conf",
    "/etc/cni/net.d/whereabouts.d/whereabouts.conf",
    "/host/etc/cni/net.d/whereabouts.d/whereabouts.conf",
  ],
};
/** What whereabouts' installer writes. */
const daily = "30 4 * * *";

/**
 * `given`, or what the mounted ConfigMap says now, or the flat file, or once a day. Throws `SystemError` for a file that can't be read, `RangeError` that
 * names a flat file that can't be understood.
 */
export function cronExpression(given: string, files: CronFiles = installed): string {
  if (given !== "") return given;
  const mounted = readTextIfExists(files.mounted)?.trim() ?? "";
  return mounted === "" ? (fromFlatFile(files.flat) ?? daily) : mounted;
}

function fromFlatFile(paths: readonly string[]): string | undefined {
  for (const path of paths) {
    const text = readTextIfExists(path);
    if (text === undefined) continue;
    const content = understand(text, path);
    const expression = isJsonObject(content) ? getField(content, "reconciler_cron_expression") : undefined;
    return typeof expression === "string" && expression !== "" ? expression : undefined;
  }
  return undefined;
}

/** As the plugin reads the same file, with its comments. */
function understand(text: string, path: string): JsonValue {
  try {
    return parse(text).value;
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw new RangeError(`whereabouts' flat file ${path}: ${cause.message}`, { cause });
  }
}
