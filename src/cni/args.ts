import { code, CniError } from "./error.ts";

/** CNI_ARGS as pairs in the order given; a key may repeat, and then the last one counts. */
export interface CniArgs {
  readonly pairs: readonly (readonly [key: string, value: string])[];
  /** IgnoreUnknown was set to a true value: unknown keys are fine for plugins that look at CNI_ARGS. */
  readonly ignoreUnknown: boolean;
  /** The pieces that are no KEY=VALUE pair (spec "Parameters"): not exactly one "=". Only plugins that look at CNI_ARGS mind. */
  readonly malformed: readonly string[];
}

export const noArgs: CniArgs = { pairs: [], ignoreUnknown: false, malformed: [] };

/**
 * Reads "K=V;K=V". Empty text gives no pairs. Never throws: most plugins ignore CNI_ARGS, so what is wrong with it is kept in
 * `malformed` for `refuseUnknownArgs` to report.
 */
export function parseArgs(text: string): CniArgs {
  if (text === "") return noArgs;
  const pairs: (readonly [string, string])[] = [];
  const malformed: string[] = [];
  for (const piece of text.split(";")) {
    const [key, value, ...rest] = piece.split("=");
    if (key === undefined || value === undefined || rest.length > 0) malformed.push(piece);
    else pairs.push([key, value]);
  }
  const flag = lastOf(pairs, "IgnoreUnknown")?.toLowerCase();
  return { pairs, malformed, ignoreUnknown: flag === "1" || flag === "true" };
}

/** The value of a key (case-sensitive, the last of several); undefined when it is not there. */
export function argument(args: CniArgs, key: string): string | undefined {
  return lastOf(args.pairs, key);
}

function lastOf(pairs: CniArgs["pairs"], key: string): string | undefined {
  let found: string | undefined;
  for (const [name, value] of pairs) if (name === key) found = value;
  return found;
}

/**
 * For plugins that look at CNI_ARGS: refuses text that is no list of pairs (even when IgnoreUnknown is set) and keys outside `known`
 * unless IgnoreUnknown was set (K8S_* keys count as unknown), both as the Go library does. Throws `CniError` code 4.
 */
export function refuseUnknownArgs(args: CniArgs, known: readonly string[]): void {
  const [bad] = args.malformed;
  if (bad !== undefined) {
    throw new CniError(
      code.invalidEnvironment,
      `ARGS: invalid pair ${JSON.stringify(bad)}`,
      "expected KEY=VALUE pairs joined by ;",
    );
  }
  if (args.ignoreUnknown || args.pairs.length === 0) return;
  const unknown = args.pairs
    .filter(([key]) => key !== "IgnoreUnknown" && !known.includes(key))
    .map(([key, value]) => `${key}=${value}`);
  if (unknown.length === 0) return;
  throw new CniError(
    code.invalidEnvironment,
    `ARGS: unknown args ${JSON.stringify(unknown)}`,
    `known here: ${known.length === 0 ? "none" : known.join(", ")}; IgnoreUnknown=1 lets others pass`,
  );
}
