import type { AddCall, Plugin } from "../../cni/plugin.ts";
import type { Result } from "../../cni/result.ts";
import { type ParsedConfig, parseConfig, reviewConfig } from "./parse.ts";
import { orCniError } from "./failure.ts";

/**
 * IPAM for a whole cluster, on whereabouts' own objects and beside its Go code: docs/whereabouts.md says how an address is claimed and why it
 * can't be given out twice. What is not needed for an ADD or DEL is loaded when it is.
 */
export const plugin: Plugin<ParsedConfig> = {
  name: "whereabouts",
  isIpam: true,
  parse: parseConfig,
  review: reviewConfig,
  add: (call) => orCniError(() => add(call)),
  del: (call) =>
    orCniError(async () => {
      const { del } = await import("./del.ts");
      await del(call);
    }),
  check: (call) =>
    orCniError(async () => {
      const { check } = await import("./check.ts");
      await check(call);
    }),
  status: (call) =>
    orCniError(async () => {
      const { status } = await import("./status.ts");
      await status(call);
    }),
  gc: (call) =>
    orCniError(async () => {
      const { collect } = await import("./gc.ts");
      await collect(call);
    }),
};

async function add(call: AddCall<ParsedConfig>): Promise<Result> {
  const { claimAll } = await import("./add.ts");
  return await claimAll(call);
}
