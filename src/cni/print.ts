import { stringify } from "../json/stringify.ts";
import { oneLine } from "../words/one-line.ts";
import type { CniError } from "./error.ts";
import { encodeResult } from "./result-encode.ts";
import type { Result } from "./result.ts";
import type { CniVersion } from "./version.ts";

const indent = 4;

/** A result as the text that goes to stdout: byte for byte what the Go library prints. Throws as `encodeResult` does. */
export function printResult(result: Result, version: CniVersion): string {
  return stringify(encodeResult(result, version), { indent });
}

/**
 * An error as the text that goes to stdout (spec "Error"). There is no cniVersion, as upstream has it, and the message is kept to one
 * line, since runtimes put it into logs and events.
 */
export function printError(error: CniError): string {
  const { code, details } = error;
  const msg = oneLine(error.message);
  return stringify(details === "" ? { code, msg } : { code, msg, details }, { indent });
}
