import { JsonError } from "../json/error.ts";
import { array, decode, getField, struct, text } from "../json/struct.ts";
import type { JsonObject } from "../json/value.ts";
import { CniError, code } from "./error.ts";
import { inject } from "./inject.ts";
import type { ValidAttachment } from "./net-conf.ts";

const key = "cni.dev/valid-attachments";
/** What libcni also sends, since an early text of the specification had this name. */
const legacyKey = "cni.dev/attachments";

const schema = array(struct({ containerID: text(), ifname: text() }));

/**
 * The attachments that GC must leave alone (spec "GC"); an empty list says that every attachment is stale, and so does null, which is how libcni
 * writes an empty list. Undefined: the config says nothing. Throws `CniError` code 7 with the JSON path.
 */
export function readValidAttachments(config: JsonObject): ValidAttachment[] | undefined {
  const name = [key, legacyKey].find((each) => getField(config, each) !== undefined || config[each] === null);
  if (name === undefined) return undefined;
  if (config[name] === null) return [];
  try {
    const list = decode(schema, getField(config, name), `$["${name}"]`);
    return list.map(({ containerID, ifname }) => ({ containerId: containerID, ifName: ifname }));
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw new CniError(code.invalidConfig, cause.message, "", { cause });
  }
}

/** The config with this list of attachments under both keys. */
export function withValidAttachments(config: JsonObject, valid: readonly ValidAttachment[]): JsonObject {
  const list = valid.map(({ containerId, ifName }) => ({ containerID: containerId, ifname: ifName }));
  return inject(config, { [key]: list, [legacyKey]: list });
}
