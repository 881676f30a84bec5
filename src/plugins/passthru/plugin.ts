import type { Plugin } from "../../cni/plugin.ts";
import { emptyResult } from "../../cni/result.ts";

/**
 * Starts a chain that attaches nothing itself: the first plugin of Multus' `auxiliaryCNIChainName`. ADD hands on the previous result,
 * or an empty one.
 */
export const plugin: Plugin<undefined> = {
  name: "passthru",
  parse: () => undefined,
  add: ({ conf }) => conf.prevResult ?? emptyResult,
  del: () => undefined,
};
