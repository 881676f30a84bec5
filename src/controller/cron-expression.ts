import { getField } from "../json/struct.ts";
import { isJsonObject } from "../json/value.ts";
import { readTextIfExists } from "../libc/file.ts";

/** Where whereabouts' manifests mount the ConfigMap whereabouts-config. */
const mountedFile = "/cron-schedule/config";
/** In the order of whereabouts. */
const flatFiles = [
  "/etc/kubernetes/cni/net.d/whereabouts.d/whereabouts.conf",
  "/etc/cni/net.d/whereabouts.d/whereabouts.conf",
  "/host/etc/cni/net.d/whereabouts.d/whereabouts.conf",
];
/** What whereabouts' installer writes. */
const daily = "30 4 * * *";

/** `given`, or what the mounted ConfigMap says now, or the flat file, or once a day. Throws `SystemError` for a file that can't be read. */
export function cronExpression(given: string): string {
  if (given !== "") return given;
  const mounted = readTextIfExists(mountedFile)?.trim() ?? "";
  return mounted === "" ? (fromFlatFile() ?? daily) : mounted;
}

function fromFlatFile(): string | undefined {
  for (const path of flatFiles) {
    const text = readTextIfExists(path);
    if (text === undefined) continue;
    const content: unknown = JSON.parse(text);
    const expression = isJsonObject(content) ? getField(content, "reconciler_cron_expression") : undefined;
    return typeof expression === "string" && expression !== "" ? expression : undefined;
  }
  return undefined;
}
