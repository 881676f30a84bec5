import { CniError, code } from "../../cni/error.ts";
import type { NetConf } from "../../cni/net-conf.ts";
import { JsonError } from "../../json/error.ts";
import { decode, type Schema } from "../../json/struct.ts";

/** The plugin's own keys of a config, as `schema` types them. Throws `CniError` code 7 that names the JSON path. */
export function decodeConfig<T>(schema: Schema<T>, conf: NetConf): T {
  try {
    return decode(schema, conf.raw);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new CniError(code.invalidConfig, `failed to load netconf: ${error.message}`, "", { cause: error });
  }
}
