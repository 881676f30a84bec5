import { CniError, code } from "../../cni/error.ts";
import type { StatusCall } from "../../cni/plugin.ts";
import { makeDirectories } from "../../libc/file.ts";
import { SystemError } from "../../libc/errno.ts";
import { sizeOf } from "../../pool/spans.ts";
import { toCniError } from "./failure.ts";
import { type ParsedConfig, settle } from "./parse.ts";
import { openStore } from "./store.ts";

/**
 * Whether an ADD could be served: the journal's directory can be written, the store answers, and no pool shows all its addresses as held. Throws
 * `CniError` code 50 if not.
 */
export async function status(call: StatusCall<ParsedConfig>): Promise<void> {
  const config = settle(call, call.config);
  try {
    makeDirectories(config.dataDir, 0o755);
    if (config.ranges.length === 0) return;
    const pools = await openStore(config, call);
    for (const range of config.ranges) {
      const pool = await pools.getPool(range.pool);
      const used = BigInt(Object.keys(pool?.allocations ?? {}).length);
      if (used >= sizeOf(range.spans))
        throw new CniError(
          code.notAvailable,
          `Could not allocate IP in range: ${range.text}`,
          `${used} addresses are held`,
        );
    }
  } catch (error) {
    const failure = toCniError(error);
    if (failure.code !== code.tryAgainLater && !(error instanceof SystemError)) throw failure;
    throw new CniError(code.notAvailable, failure.message, failure.details, { cause: failure });
  }
}
